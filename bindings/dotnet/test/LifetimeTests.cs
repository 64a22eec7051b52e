using System;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>How long things live, and on which threads people are told.</summary>
internal sealed partial class SyncTests
{
    /// <summary>On a thread of its own, so that no stack remembers what it made.</summary>
    private static void Forgetting(Action action)
    {
        var thread = new Thread(() => action());
        thread.Start();
        thread.Join();
        for (var time = 0; time < 3; time++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    private static void Until(Func<bool> so, string what)
    {
        var end = DateTime.UtcNow.AddMilliseconds(Patience);
        while (!so())
        {
            True(DateTime.UtcNow < end, what);
            GC.Collect();
            Thread.Sleep(1);
        }
    }

    /// <summary>A grant lives, referenced or not, until it ends; who has only its token is told.</summary>
    public void HeldForLife()
    {
        var lost = CancellationToken.None;
        Forgetting(() => lost = NewLock().Acquire().Lost);
        // Longer than the ttl.
        Throws<LockTimeoutException>(() => NewLock().Acquire(TimeSpan.FromSeconds(16)));
        True(!lost.IsCancellationRequested, "it is not lost");
        ForceRelease();
        True(lost.WaitHandle.WaitOne(Patience), "the loss is told");
        var led = new ManualResetEvent(false);
        Forgetting(() => new Election("x", NewOptions()).LeadAsync(term =>
        {
            led.Set();
            return new TaskCompletionSource<bool>().Task;
        }));
        True(led.WaitOne(Patience), "it leads");
        GC.Collect();
        Throws<LockTimeoutException>(() => NewLock().Acquire(TimeSpan.FromSeconds(16)));
    }

    /// <summary>A client that nobody refers to any more may still be closing, and write.</summary>
    private static void Remove(string folder)
    {
        Until(() =>
        {
            try
            {
                Directory.Delete(folder, true);
            }
            catch (IOException)
            {
            }
            return !Directory.Exists(folder);
        }, "the folder is removed");
    }

    private static int Threads => Directory.GetDirectories("/proc/self/task").Length;

    /// <summary>How many descriptors of this process are of the file, of those beside it, or of this kind.</summary>
    private static int Descriptors(string file)
    {
        using (var list = Process.Start(new ProcessStartInfo(
            "sh", "-c \"ls -l /proc/" + Process.GetCurrentProcess().Id + "/fd 2>/dev/null\"")
        {
            UseShellExecute = false,
            RedirectStandardOutput = true
        }))
            return list.StandardOutput.ReadToEnd().Split('\n').Count(line => line.Contains(file));
    }

    /// <summary>A client that is closed, or whose last lock is disposed, leaves nothing behind.</summary>
    public void NothingIsLeft()
    {
        var file = Path.GetTempFileName();
        var threads = 0;
        var descriptors = 0;
        for (var time = 0; time < 30; time++)
        {
            using (var client = new Client("file:" + file))
                new Lock("x", client).Acquire();
            using (var one = new Lock("x", "file:" + file))
                one.Acquire();
            using (var election = new Election("x", "file:" + file, null, null))
            {
                election.LeaderAsync().Wait();
                var led = election.LeadAsync(term => Task.FromResult(0));
                election.Stop();
                True(led.Wait(Patience), "the run ends");
            }
            Until(() => Descriptors(file) == 0, "no file is open");
            if (time > 0)
                continue;
            threads = Threads;
            descriptors = Descriptors("eventfd");
        }
        Until(() => Threads <= threads + 5, "no thread is left");
        Until(() => Descriptors("eventfd") <= descriptors + 5, "no descriptor is left");
        File.Delete(file);
    }

    /// <summary>So does one whose last lock is collected. Mono's collector may overlook a few.</summary>
    public void CollectedLocks()
    {
        var file = Path.GetTempFileName();
        Forgetting(() => new Lock("x", "file:" + file).Acquire().Release());
        var threads = Threads;
        for (var time = 0; time < 30; time++)
        {
            Forgetting(() => new Lock("x", new Client("file:" + file)).Acquire().Release());
            Forgetting(() => new Lock("x", "file:" + file).Acquire().Release());
        }
        Until(() => Threads <= threads + 10, "no thread is left");
        File.Delete(file);
    }

    /// <summary>What a closed client held is released, which a later release says, and it is asked for no more; others of its URL go on.</summary>
    public void ClosedClients()
    {
        var other = new Lock("y", url);
        other.WaitOne();
        var client = new Client(NewOptions());
        var one = new Lock("x", client);
        var held = one.Acquire();
        var waits = new Lock("y", client).AcquireAsync();
        Throws<ArgumentException>(() => new Lock("x", client, NewOptions()));
        client.Dispose();
        client.Dispose();
        True(!held.IsHeld && !one.IsHeld, "it is released");
        Throws<NotHeldException>(held.Release);
        held.Dispose();
        Equal(-12, Throws<SyncException>(one.WaitOne).Status);
        Equal(-12, Throws<SyncException>(() => new Lock("x", client)).Status);
        Throws<SyncException>(() => waits.GetAwaiter().GetResult());
        True(other.IsHeld && NewLock().TryWait(), "others go on");
    }

    /// <summary>Disposing takes back what is asked for, whatever has become of it, and nothing is asked afterwards.</summary>
    public void DisposedWhileAsking()
    {
        var folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        Directory.CreateDirectory(folder);
        var place = "file:" + folder + "/locks.db";
        using (var keeper = new Lock("other", place))
        {
            for (var time = 0; time < 100; time++)
            {
                var one = new Lock("x", place);
                var asked = one.AcquireAsync();
                one.Dispose();
                if (asked.ContinueWith(end => end.IsFaulted).Result)
                    Equal(-6, ((SyncException)asked.Exception.InnerException).Status);
                else
                    True(!asked.Result.IsHeld, "what was granted before is released");
                Equal(-12, Throws<SyncException>(one.WaitOne).Status);
            }
            keeper.WaitOne();
            using (var next = new Lock("x", place))
                next.Acquire(TimeSpan.FromMilliseconds(Patience));
        }
        Remove(folder);
    }

    /// <summary>Cancelling takes back its own request; another one of the same lock queues behind it.</summary>
    public void CancellingNamesItsRequest()
    {
        var one = NewLock();
        var other = NewLock();
        for (var time = 0; time < 200; time++)
        {
            var held = other.Acquire();
            var source = new CancellationTokenSource();
            var first = one.AcquireAsync(source.Token);
            source.Cancel();
            var second = one.AcquireAsync(CancellationToken.None);
            Throws<OperationCanceledException>(() => first.GetAwaiter().GetResult());
            held.Release();
            True(second.Wait(Patience), "the second request is granted");
            second.Result.Release();
        }
    }

    /// <summary>Cancelled while it is granted, it is either held by who asked, or by nobody.</summary>
    public void CancellingAsItIsGranted()
    {
        var one = NewLock();
        var other = NewLock();
        for (var time = 0; time < 200; time++)
        {
            var held = other.Acquire();
            var source = new CancellationTokenSource();
            var asked = one.AcquireAsync(source.Token);
            var released = held.ReleaseAsync();
            source.Cancel();
            if (!asked.ContinueWith(end => end.IsCanceled).Result)
                asked.Result.Release();
            True(!one.IsHeld, "nobody holds it");
            released.Wait();
        }
    }

    /// <summary>A loss is told while the program's own pool is full.</summary>
    public void ToldWithoutThePool()
    {
        ThreadPool.GetMaxThreads(out var workers, out var ports);
        var listener = new Listener();
        var one = new Lock("x", Brief()) { Listener = listener };
        var held = one.Acquire();
        Equal("acquired", listener.Take());
        var seen = new BlockingCollection<string>();
        var busy = new ManualResetEvent(false);
        ThreadPool.GetMinThreads(out var least, out _);
        ThreadPool.SetMaxThreads(least, ports);
        try
        {
            for (var task = 0; task < 4 * least; task++)
                ThreadPool.QueueUserWorkItem(state => busy.WaitOne());
            using (new Election("x", url, null, null).Observe(leader => seen.Add(leader == null ? "-" : "one")))
            {
                Equal("one", Next(seen));
                ForceRelease();
                True(held.Lost.WaitHandle.WaitOne(Patience), "the token is cancelled");
                Equal("lost", listener.Take());
                Equal("-", Next(seen));
            }
        }
        finally
        {
            busy.Set();
            ThreadPool.SetMaxThreads(workers, ports);
        }
    }

    /// <summary>A callback that never returns keeps nobody else from being told.</summary>
    public void ACallbackThatBlocks()
    {
        var stuck = new ManualResetEvent(false);
        var one = new Lock("x", Brief()).Acquire();
        var other = new Lock("y", Brief()).Acquire();
        one.Lost.Register(() => stuck.WaitOne());
        ForceRelease();
        ForceRelease("y");
        True(other.Lost.WaitHandle.WaitOne(Patience), "the other loss is told");
        stuck.Set();
    }

    /// <summary>Who waits sees for whom, and where in the queue.</summary>
    public void Waits()
    {
        var holder = new Lock("x", new Options { Url = url, Identity = "holder" });
        holder.WaitOne();
        var seen = new BlockingCollection<WaitingEventArgs>();
        var one = NewLock();
        one.Waiting += (sender, waiting) => seen.Add(waiting);
        var asked = one.AcquireAsync();
        var first = Next(seen);
        Equal("holder 1", first.Holder + " " + first.Position);
        holder.Release();
        asked.Result.Release();
    }

    /// <summary>Null, not an exception, when another holder has it.</summary>
    public void TryingWithoutException()
    {
        var one = NewLock();
        var held = one.TryAcquireAsync().Result;
        True(held.IsHeld, "it is held");
        Equal(null, NewLock().TryAcquireAsync().Result);
        Equal(null, NewLock().TryAcquireAsync(TimeSpan.FromMilliseconds(1)).Result);
        held.Release();
    }

    /// <summary>The framework's own "for ever", the longest time, and the shortest.</summary>
    public void Durations()
    {
        foreach (var time in new[] { Timeout.InfiniteTimeSpan, TimeSpan.MaxValue, TimeSpan.FromTicks(1) })
        {
            var options = NewOptions();
            options.Wait = time;
            using (var one = new Lock("x", options))
            {
                one.Acquire(time).Release();
                one.AcquireAsync().Result.Release();
            }
        }
        var holder = NewLock().Acquire();
        var waits = new Lock("x", new Options { Url = url + "?wait=1ms", Wait = Timeout.InfiniteTimeSpan });
        var asked = waits.AcquireAsync();
        Equal(-5, Throws<LockTimeoutException>(() => NewLock().Acquire(TimeSpan.FromTicks(1))).Status);
        holder.Release();
        GC.KeepAlive(asked);
        Throws<ArgumentException>(() => new Lock("x", new Options { Url = url, Ttl = Timeout.InfiniteTimeSpan }));
    }

    /// <summary>What the work throws comes out of its block, also if the lock was lost meanwhile.</summary>
    public void TheFirstExceptionIsKept()
    {
        Equal("the work's own", Throws<IOException>(() =>
        {
            using (var held = new Lock("x", Brief()).Acquire())
            {
                ForceRelease();
                held.Lost.WaitHandle.WaitOne(Patience);
                throw new IOException("the work's own");
            }
        }).Message);
    }

    /// <summary>As in the first API: a release tells the listener, and what the listener throws comes out.</summary>
    public void ListenersOfTheFirstApi()
    {
        var listener = new Listener();
        var one = new Lock("x", url) { Listener = listener };
        Equal("a callback's own", Throws<Exception>(one.WaitOne).Message);
        True(one.IsHeld, "it is held all the same");
        one.Release();
        Equal("acquired lost", listener.Take() + " " + listener.Take());
        Throws<InvalidOperationException>(one.Release);
    }
}
