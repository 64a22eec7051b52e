using System;
using System.Diagnostics;
using System.Threading;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // newer runtimes have a System.Threading.Lock

/// <summary>Every way in which the first package could be used.</summary>
public static class Locks
{
    private class OwnLock : Lock
    {
        public OwnLock(string name) : base(name)
        {
        }
    }

    private class OwnElection : Election
    {
        public OwnElection(string name, Action elected, Action terminate) : base(name, elected, terminate)
        {
        }

        public override void LockAcquired()
        {
            Console.WriteLine("own election");
            base.LockAcquired();
        }
    }

    private class Told : LockListener
    {
        public readonly ManualResetEvent Lost = new ManualResetEvent(false);

        public void LockAcquired()
        {
            Console.WriteLine("acquired");
        }

        public void LockLost()
        {
            Lost.Set();
        }
    }

    private static void Lose(string name)
    {
        var information = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("MPSYNC"), "release --force --now " + name)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true
        };
        using (var process = Process.Start(information))
            process.WaitForExit();
    }

    private static void Misused(Action call)
    {
        try
        {
            call();
        }
        catch (InvalidOperationException)
        {
            Console.WriteLine("InvalidOperationException");
        }
    }

    private static void OfLocks()
    {
        var held = new Lock("a", "http://localhost:13131");
        held.WaitOne();
        Misused(held.WaitOne);
        Console.WriteLine(new Lock("a").TryWait());
        held.Release();
        Misused(held.Release);
        Lock own = new OwnLock("a");
        Console.WriteLine(own.TryWait());
        own.Release();
        var told = new Told();
        own.Listener = told;
        own.WaitOne();
        Console.WriteLine(own.Listener == told);
        Lose("a");
        Console.WriteLine("lost " + told.Lost.WaitOne(60000));
        own.WaitOne();
        own.Release();
    }

    private static void OfElections()
    {
        var leads = new ManualResetEvent(false);
        Election election = new OwnElection("b", () => leads.Set(), () => Console.WriteLine("terminated"));
        LockListener listener = election;
        var thread = new Thread(election.Run);
        thread.Start();
        leads.WaitOne();
        Console.WriteLine(listener == election);
        election.Shutdown();
        thread.Join();
    }

    public static int Main()
    {
        OfLocks();
        OfElections();
        return 8;
    }
}
