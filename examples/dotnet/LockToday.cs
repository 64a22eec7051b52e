using System;
using System.Threading.Tasks;
using Metaparticle.Sync;

/// <summary>One at a time: held.Lost is cancelled when the lock is lost.</summary>
internal static class LockToday
{
    private static void Main()
    {
        Work().Wait();
    }

    private static async Task Work()
    {
        using (var held = await new Lock("example").AcquireAsync())
        {
            held.Lost.ThrowIfCancellationRequested();
            Console.WriteLine("holding");
        }
        Console.WriteLine("released");
    }
}
