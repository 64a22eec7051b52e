using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>Runs each method of <see cref="SyncTests"/>, or those that are named, and says what failed.</summary>
internal static class Program
{
    private static int Main(string[] names)
    {
        var failed = 0;
        var tests = typeof(SyncTests).GetMethods(
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly)
            .Where(test => names.Length == 0 || names.Contains(test.Name)).ToArray();
        foreach (var test in tests)
        {
            try
            {
                test.Invoke(new SyncTests(), null);
                Console.WriteLine("ok " + test.Name);
            }
            catch (TargetInvocationException failure)
            {
                failed++;
                Console.WriteLine("FAILED " + test.Name + ": " + failure.InnerException);
            }
        }
        Console.WriteLine(tests.Length + " tests, " + failed + " failed");
        return failed == 0 && tests.Length > 0 ? 0 : 1;
    }
}

/// <summary>Locks and elections in the memory of this process.</summary>
internal sealed partial class SyncTests
{
    private static int stores;
    private readonly string url = "memory:" + Interlocked.Increment(ref stores);

    private static void True(bool so, string what)
    {
        if (!so)
            throw new Exception("not so: " + what);
    }

    private static void Equal<T>(T expected, T actual)
    {
        if (!Equals(expected, actual))
            throw new Exception("expected " + expected + ", got " + actual);
    }

    private static T Throws<T>(Action action) where T : Exception
    {
        try
        {
            action();
        }
        catch (T thrown)
        {
            return thrown;
        }
        throw new Exception(typeof(T).Name + " was not thrown");
    }

    private Lock NewLock()
    {
        return new Lock("x", url);
    }

    /// <summary>Takes the lock from its holder, as an operator would.</summary>
    private void ForceRelease()
    {
        Native.mpsync_client_force_release(Client.Of(url).Handle, Text.ToC("name", "x"), 1);
    }

    private Options NewOptions()
    {
        return new Options { Url = url };
    }

    /// <summary>One holds, another does not; tokens rise; a grant that has ended stays ended.</summary>
    public void Grants()
    {
        var one = NewLock();
        var held = one.Acquire();
        True(held.IsHeld && one.IsHeld && held.Remaining > TimeSpan.Zero, "it is held");
        True(!NewLock().TryWait(), "another does not get it");
        Throws<LockTimeoutException>(() => NewLock().Acquire(TimeSpan.FromMilliseconds(1)));
        held.Release();
        Throws<NotHeldException>(held.Release);
        held.Dispose();
        using (var next = one.Acquire())
            True(next.Token > held.Token && !held.IsHeld, "the token rises");
        True(!one.IsHeld, "it is released");
    }

    /// <summary>The exceptions of the first API.</summary>
    public void Misuse()
    {
        var one = NewLock();
        Throws<InvalidOperationException>(one.Release);
        one.WaitOne();
        Throws<InvalidOperationException>(one.WaitOne);
        Throws<AlreadyHeldException>(() => one.TryWait());
        one.Release();
        True(one.TryWait(), "it is used again");
        one.Dispose();
        True(!one.IsHeld, "disposing releases");
    }

    /// <summary>What breaks the contract is refused with the reason.</summary>
    public void BadArguments()
    {
        foreach (var name in new[] { "", "a\0b", "\ud800", new string('n', 1025), null })
            Throws<InvalidArgumentException>(() => new Lock(name, url));
        Throws<InvalidArgumentException>(() => new Lock("x", (Options)null));
        Throws<InvalidArgumentException>(() => new Election("x", NewOptions()).Observe(null));
        Throws<InvalidArgumentException>(() => new Lock("x", "gopher:x"));
        Throws<InvalidArgumentException>(() => new Lock("x", NewOptions().Set("colour", "red")));
        Throws<InvalidArgumentException>(() => NewLock().Acquire(TimeSpan.FromSeconds(-1)));
        var nobody = Throws<StoreException>(new Lock("x", "http://127.0.0.1:1").WaitOne);
        True(nobody.Status == -4 && nobody.Message.Contains("mpsync elector"), nobody.Message);
    }

    /// <summary>A token that is cancelled withdraws the request, and the lock can be asked for again.</summary>
    public void Cancelling()
    {
        var held = NewLock().Acquire();
        var waiting = NewLock();
        var source = new CancellationTokenSource();
        var asked = waiting.AcquireAsync(source.Token);
        source.Cancel();
        Throws<OperationCanceledException>(() => asked.GetAwaiter().GetResult());
        held.Release();
        waiting.AcquireAsync().Result.ReleaseAsync().Wait();
    }

    /// <summary>A thousand wait without a thread each.</summary>
    public void ManyWaiters()
    {
        var held = NewLock().Acquire();
        var all = Enumerable.Range(0, 1000).Select(async number =>
        {
            var own = await NewLock().AcquireAsync();
            await own.ReleaseAsync();
        }).ToArray();
        True(Directory.GetDirectories("/proc/self/task").Length < 100, "there are few threads");
        held.Release();
        Task.WaitAll(all);
    }

    private sealed class Listener : LockListener
    {
        internal readonly BlockingCollection<string> Told = new BlockingCollection<string>();

        public void LockAcquired()
        {
            Told.Add("acquired");
            throw new Exception("a callback's own");
        }

        public void LockLost()
        {
            Told.Add("lost");
        }
    }

    /// <summary>The listener is told of both ends; a loss cancels a token, and throws at the end of its block.</summary>
    public void Losses()
    {
        var listener = new Listener();
        var one = new Lock("x", new Options { Url = url, Ttl = TimeSpan.FromSeconds(1) }) { Listener = listener };
        Throws<LockLostException>(() =>
        {
            using (var held = one.Acquire())
            {
                Equal("acquired", listener.Told.Take());
                ForceRelease();
                held.Lost.WaitHandle.WaitOne();
                True(!held.IsHeld, "it is not held any more");
            }
        });
        Equal("lost", listener.Told.Take());
        one.WaitOne();
        one.Release();
    }

    /// <summary>An election of the first API is told at both ends of a term, and again after a loss.</summary>
    public void Elections()
    {
        var told = new BlockingCollection<string>();
        var options = new Options { Url = url, Ttl = TimeSpan.FromSeconds(1) };
        var election = new Election("x", options, () => told.Add("elected"), () => told.Add("terminate"));
        var thread = new Thread(election.Run);
        thread.Start();
        Equal("elected", told.Take());
        Throws<InvalidOperationException>(election.Run);
        ForceRelease();
        Equal("terminate", told.Take());
        Equal("elected", told.Take());
        election.Shutdown();
        thread.Join();
        Equal("terminate", told.Take());
        True(NewLock().TryWait(), "it resigned");
    }

    /// <summary>Shutting down ends the waiting of a candidate.</summary>
    public void ShutdownOfACandidate()
    {
        NewLock().WaitOne();
        var election = new Election("x", url, () => { }, () => { });
        var thread = new Thread(election.Run);
        thread.Start();
        do
            election.Shutdown();
        while (!thread.Join(1));
        True(!election.IsLeader, "it does not lead");
    }

    /// <summary>Observers see nobody, the leader, its new value, and nobody again.</summary>
    public void Observing()
    {
        var seen = new BlockingCollection<Leader[]>();
        var election = new Election("x", new Options { Url = url, Identity = "me" });
        using (new Election("x", url, null, null).Observe(leader => seen.Add(new[] { leader })))
        {
            Equal(null, seen.Take()[0]);
            var term = election.Campaign("one");
            var first = seen.Take()[0];
            Equal("me one " + term.Token, first.Holder + " " + first.Value + " " + first.Token);
            election.SetValue("zwei\ud83d\udd11");
            Equal("zwei\ud83d\udd11", seen.Take()[0].Value);
            Equal("me", election.LeaderAsync().Result.Holder);
            election.Resign();
            Equal(null, seen.Take()[0]);
        }
        Throws<NotHeldException>(() => election.SetValue("three"));
    }

    /// <summary>Handles that nobody has any more are freed, and what they hold is released.</summary>
    public void DroppedHandles()
    {
        // On a thread of its own, so that no stack remembers it.
        var dropping = new Thread(() => NewLock().WaitOne());
        dropping.Start();
        dropping.Join();
        var next = NewLock().AcquireAsync();
        while (!next.IsCompleted)
        {
            GC.Collect();
            Thread.Yield();
        }
        next.Result.Release();
    }
}
