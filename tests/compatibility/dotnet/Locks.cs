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

    /// <summary>Its exceptions come out of the call, and the call has done what it says.</summary>
    private class Throwing : LockListener
    {
        public void LockAcquired()
        {
            throw new NotImplementedException();
        }

        public void LockLost()
        {
            throw new NotSupportedException();
        }
    }

    private static void Thrown(Action call)
    {
        try
        {
            call();
        }
        catch (Exception thrown)
        {
            Console.WriteLine(thrown.GetType().Name);
        }
    }

    private static void OfListeners()
    {
        var told = new Told();
        var listened = new Lock("c") { Listener = told };
        listened.WaitOne();
        Console.WriteLine("told before " + told.Lost.WaitOne(0));
        listened.Release();
        Console.WriteLine("told of the release " + told.Lost.WaitOne(0));
        listened.Listener = new Throwing();
        Thrown(listened.WaitOne);
        Misused(listened.WaitOne);
        Thrown(listened.Release);
        Misused(listened.Release);
        listened.Listener = null;
        Console.WriteLine(listened.TryWait());
        Lose("c");
        while (true)
        {
            try
            {
                listened.Release();
            }
            catch (InvalidOperationException)
            {
                Console.WriteLine("released after a loss");
                return;
            }
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
        election.Shutdown(); // of no effect: nothing runs
        leads.Reset();
        thread = new Thread(election.Run);
        thread.Start();
        leads.WaitOne();
        election.Shutdown();
        thread.Join();
    }

    /// <summary>A function that throws ends its term; the next one is another candidate's, or its own.</summary>
    private static void OfThrowing()
    {
        var times = 0;
        Election election = null;
        election = new Election(
            "d", "http://localhost:13131",
            () =>
            {
                Console.WriteLine("elected " + ++times);
                if (times == 1)
                    throw new NotImplementedException();
                election.Shutdown();
            },
            () => Console.WriteLine("terminated"));
        election.Run();
    }

    public static int Main()
    {
        OfLocks();
        OfListeners();
        OfElections();
        OfThrowing();
        return 8;
    }
}
