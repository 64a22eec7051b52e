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

/// <summary>
/// Runs each method of <see cref="SyncTests"/>, or those that are named, and says what failed. With "end" it
/// is a program of <see cref="Endings"/>.
/// </summary>
internal static class Program
{
    private static int Main(string[] names)
    {
        if (names.Length > 1 && names[0] == "end")
            return Endings.Play(names[1], names[2], names[3], names[4]);
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

    private const int Patience = 120000;

    /// <summary>The next that is told, within the patience of a test.</summary>
    private static T Next<T>(BlockingCollection<T> told)
    {
        True(told.TryTake(out var next, Patience), "something is told");
        return next;
    }

    private static void Joined(Thread thread)
    {
        True(thread.Join(Patience), "the thread ends");
    }

    private Lock NewLock()
    {
        return new Lock("x", url);
    }

    /// <summary>Takes the lock from its holder, as an operator would.</summary>
    private void ForceRelease(string name = "x")
    {
        var connection = Connection.Of(url);
        connection.With(client => Native.mpsync_client_force_release(client, Text.ToC("name", name), 1));
        connection.Leave();
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
            Throws<ArgumentException>(() => new Lock(name, url));
        Throws<ArgumentNullException>(() => new Lock("x", (Options)null));
        Throws<ArgumentNullException>(() => new Election("x", NewOptions()).Observe(null));
        Throws<ArgumentException>(() => new Lock("x", "gopher:x"));
        Throws<ArgumentException>(() => new Lock("x", NewOptions().Set("colour", "red")));
        Throws<ArgumentException>(() => NewLock().Acquire(TimeSpan.FromSeconds(-1)));
        var nobody = Throws<StoreException>(() => new Lock("x", "http://127.0.0.1:1").TryWait());
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

        internal string Take()
        {
            return Next(Told);
        }

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

    /// <summary>The listener is told of both ends; a loss cancels a token, and <c>Check</c> throws.</summary>
    public void Losses()
    {
        var listener = new Listener();
        var one = new Lock("x", Brief()) { Listener = listener };
        using (var held = one.Acquire())
        {
            Equal("acquired", listener.Take());
            ForceRelease();
            True(held.Lost.WaitHandle.WaitOne(Patience), "a token is cancelled");
            True(!held.IsHeld && !one.IsHeld, "it is not held any more");
            Throws<LockLostException>(held.Check);
            Throws<NotHeldException>(held.Release);
        }
        Equal("lost", listener.Take());
        one.Acquire().Dispose();
        Equal(0, listener.Told.Count(told => told == "lost"));
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
}
