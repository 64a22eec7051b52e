using System;
using Metaparticle.Sync;

/// <summary>A program of the first Metaparticle Sync: one at a time.</summary>
internal static class LockExample
{
    private static void Main()
    {
        var @lock = new Lock("example");
        @lock.WaitOne();
        Console.WriteLine("holding");
        @lock.Release();
        Console.WriteLine("released");
    }
}
