using System;
using System.Threading.Tasks;
using Metaparticle.Sync;

/// <summary>One leads: the work of a term ends when term.Ending is cancelled.</summary>
internal static class ElectionToday
{
    private static void Main()
    {
        using (var election = new Election("example", new Options()))
        {
            election.LeadAsync(
                term =>
                {
                    Console.WriteLine("leading");
                    election.Stop(); // as a program does that has done its part
                    return Task.FromResult(!term.Ending.IsCancellationRequested);
                },
                "http://me:8080").Wait();
        }
        Console.WriteLine("not leading");
    }
}
