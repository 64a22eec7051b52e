using System;
using Metaparticle.Sync;

/// <summary>One leads, until its term is lost or given back.</summary>
internal static class ElectionToday
{
    private static void Main()
    {
        using (var election = new Election("example", new Options()))
        using (election.Campaign("http://me:8080"))
        {
            Console.WriteLine("leading");
        }
        Console.WriteLine("not leading");
    }
}
