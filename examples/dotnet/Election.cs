using System;
using Metaparticle.Sync;

/// <summary>A program of the first Metaparticle Sync: one leads.</summary>
internal static class ElectionExample
{
    private static Election election;

    private static void Main()
    {
        election = new Election(
            "example",
            () =>
            {
                Console.WriteLine("leading");
                election.Shutdown();
            },
            () => Console.WriteLine("not leading"));
        election.Run();
    }
}
