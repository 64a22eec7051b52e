using System;
using System.Collections.Concurrent;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>Work that goes with a term: <c>LeadAsync</c>, and <c>Run</c> of the first API.</summary>
internal sealed partial class SyncTests
{
    /// <summary>An election whose functions tell what they are called, and a thread that runs it.</summary>
    private sealed class Running
    {
        internal readonly BlockingCollection<string> Told = new BlockingCollection<string>();
        internal readonly Election Election;
        internal readonly Thread Thread;
        internal Exception Thrown;

        internal Running(Options options, Action<Running> work)
        {
            Election = new Election(
                "x", options,
                () =>
                {
                    Told.Add("elected");
                    work(this);
                    Told.Add("returned");
                },
                () => Told.Add("terminate"));
            Thread = new Thread(() =>
            {
                try
                {
                    Election.Run();
                }
                catch (Exception thrown)
                {
                    Thrown = thrown;
                }
            });
            Thread.Start();
        }

        internal string Take()
        {
            return Next(Told);
        }
    }

    /// <summary>
    /// Whose holder soon learns that it was taken away, by the next renewal, and which does not run out before, however
    /// slow the machine is.
    /// </summary>
    private Options Brief()
    {
        return new Options { Url = url, Ttl = TimeSpan.FromSeconds(6) };
    }

    private static readonly Action<Running> ReturnAtOnce = running => { };

    /// <summary>An election of the first API is told at both ends of a term, and again after a loss.</summary>
    public void Elections()
    {
        var running = new Running(Brief(), ReturnAtOnce);
        Equal("elected", running.Take());
        Equal("returned", running.Take());
        True(!running.Told.TryTake(out _, 300), "its term goes on");
        ForceRelease();
        Equal("terminate", running.Take());
        Equal("elected", running.Take());
        Equal("returned", running.Take());
        running.Election.Shutdown();
        Joined(running.Thread);
        Equal("terminate", running.Take());
        Equal(null, running.Thrown);
        True(NewLock().TryWait(), "it resigned");
    }

    /// <summary>Resigning calls terminate once, and it stands again; disposing ends it.</summary>
    public void ResignedAndDisposed()
    {
        var running = new Running(Brief(), ReturnAtOnce);
        Equal("elected", running.Take());
        Equal("returned", running.Take());
        running.Election.Resign();
        Equal("terminate", running.Take());
        Equal("elected", running.Take());
        Equal("returned", running.Take());
        running.Election.Dispose();
        Joined(running.Thread);
        Equal("terminate", running.Take());
        Equal(0, running.Told.Count);
    }

    /// <summary>An interrupt ends a run as its shutdown does, and comes out.</summary>
    public void Interrupted()
    {
        foreach (var waits in new[] { true, false })
        {
            var begun = new ManualResetEvent(false);
            var running = new Running(Brief(), one =>
            {
                begun.Set();
                if (waits)
                    Thread.Sleep(Timeout.Infinite);
            });
            True(begun.WaitOne(Patience), "it leads");
            running.Thread.Interrupt();
            Joined(running.Thread);
            True(running.Thrown is ThreadInterruptedException, "the interrupt comes out");
            Equal(1, running.Told.Count(word => word == "terminate"));
            using (var next = NewLock())
                True(next.TryWait(), "it is given back");
        }
    }

    /// <summary>Work that throws ends its term, but not before terminate has returned; then it stands again.</summary>
    public void ElectedThrows()
    {
        var told = new BlockingCollection<string>();
        var times = 0;
        Election election = null;
        election = new Election(
            "x", Brief(),
            () =>
            {
                told.Add("elected");
                if (++times == 1)
                    throw new Exception("a callback's own");
                election.Shutdown();
            },
            () => told.Add("terminate " + election.IsLeader));
        election.Run();
        Equal("elected, terminate True, elected, terminate True", string.Join(", ", told));
    }

    /// <summary>Shutting down tells the work to end, and nobody else leads until it has.</summary>
    public void ShutdownDrains()
    {
        var end = new ManualResetEvent(false);
        var running = new Running(NewOptions(), one => end.WaitOne(Patience));
        Equal("elected", running.Take());
        running.Election.Shutdown();
        Equal("terminate", running.Take());
        using (var other = NewLock())
        {
            // Longer than the ttl: it is renewed meanwhile.
            Throws<LockTimeoutException>(() => other.Acquire(TimeSpan.FromSeconds(16)));
            True(running.Election.IsLeader, "it leads until the work has ended");
            end.Set();
            Joined(running.Thread);
            True(other.TryWait(), "it is given back");
        }
    }

    /// <summary>A candidate's run ends at once; a shutdown before a run is of no effect, as in the first API.</summary>
    public void ShutdownOfACandidate()
    {
        var holder = NewLock();
        holder.WaitOne();
        var election = new Election("x", url, () => { }, () => { });
        election.Shutdown();
        var waits = new ManualResetEvent(false);
        election.Waiting += (sender, waiting) => waits.Set();
        var thread = new Thread(election.Run);
        thread.Start();
        True(waits.WaitOne(Patience), "the run has begun");
        election.Shutdown();
        Joined(thread);
        True(!election.IsLeader, "it does not lead");
        GC.KeepAlive(holder);
    }

    /// <summary>What the work may call from inside never waits for itself; a second loop is refused.</summary>
    public void CalledFromInside()
    {
        var calls = new Action<Election>[]
        {
            election => election.Shutdown(), election => election.Stop(), election => election.Dispose()
        };
        foreach (var call in calls)
        {
            var running = new Running(Brief(), one =>
            {
                Throws<AlreadyHeldException>(one.Election.Run);
                Throws<AlreadyHeldException>(() => one.Election.LeadAsync(term => Task.FromResult(0)).GetAwaiter().GetResult());
                Throws<AlreadyHeldException>(() => one.Election.Campaign(null));
                one.Election.Resign();
                call(one.Election);
            });
            Joined(running.Thread);
            Equal(1, running.Told.Count(word => word == "returned"));
            Equal(1, running.Told.Count(word => word == "terminate"));
            using (var next = NewLock())
                True(next.TryWait(), "it is given back");
        }
    }

    /// <summary>Each term has work of its own; it stands again when the work returns, throws, or is asked to end.</summary>
    public void Leading()
    {
        var terms = new BlockingCollection<Held>();
        var ends = new BlockingCollection<Action>();
        var election = new Election("x", Brief());
        var led = election.LeadAsync(
            async term =>
            {
                terms.Add(term);
                await Task.Run(() => Next(ends)());
            },
            "me");
        var first = Next(terms);
        True(first.IsHeld && election.IsLeader && !first.Ending.IsCancellationRequested, "it leads");
        Equal("me", election.LeaderAsync().Result.Value);
        ends.Add(() => { });
        var second = Next(terms);
        True(second.Token > first.Token && !first.IsHeld, "it stands again");
        ends.Add(() => throw new Exception("the work's own"));
        var third = Next(terms);
        election.Resign();
        True(third.Ending.WaitHandle.WaitOne(Patience), "the work is told");
        Equal("asked", third.EndingReason);
        Equal(Timeout.InfiniteTimeSpan, third.EndingLeft);
        True(third.IsHeld && !third.Lost.IsCancellationRequested, "it is held until the work has ended");
        ends.Add(() => third.Ending.ThrowIfCancellationRequested());
        var fourth = Next(terms);
        ForceRelease();
        True(fourth.Ending.WaitHandle.WaitOne(Patience) && fourth.Lost.WaitHandle.WaitOne(Patience), "it is lost");
        Equal(TimeSpan.Zero, fourth.EndingLeft);
        Throws<LockLostException>(fourth.Check);
        ends.Add(() => { });
        var fifth = Next(terms);
        election.Stop();
        True(fifth.Ending.WaitHandle.WaitOne(Patience), "the work is told");
        Equal("stopped", fifth.EndingReason);
        True(!led.IsCompleted, "it waits for the work");
        ends.Add(() => { });
        True(led.Wait(Patience), "it ends");
        True(NewLock().TryWait(), "it is given back");
    }

    /// <summary>Stopped before it begins, it ends as it begins; a token ends it, too; then it leads again.</summary>
    public void LeadingIsStopped()
    {
        var election = new Election("x", Brief());
        election.Stop();
        True(election.LeadAsync(term => throw new Exception("nobody leads")).Wait(Patience), "it ends as it begins");
        var source = new CancellationTokenSource();
        var begun = new ManualResetEvent(false);
        var led = election.LeadAsync(
            term =>
            {
                begun.Set();
                return Task.Delay(-1, term.Ending);
            },
            null, source.Token);
        True(begun.WaitOne(Patience), "it leads");
        source.Cancel();
        True(led.Wait(Patience), "it ends");
        Equal(TaskStatus.RanToCompletion, led.Status);
        Throws<ArgumentNullException>(() => election.LeadAsync(null).GetAwaiter().GetResult());
        var busy = NewLock().Acquire();
        Throws<LockTimeoutException>(() => new Election("x", Brief().Set("wait", "1ms"))
            .LeadAsync(term => Task.FromResult(0)).GetAwaiter().GetResult());
        busy.Dispose();
    }

    /// <summary>Work that never returns keeps its term, or, with a drain, keeps nobody else for longer than that.</summary>
    public void WorkThatNeverReturns()
    {
        var never = new TaskCompletionSource<bool>();
        var options = Brief();
        options.Drain = TimeSpan.FromMilliseconds(10);
        var election = new Election("x", options);
        var begun = new BlockingCollection<Held>();
        var led = election.LeadAsync(term =>
        {
            begun.Add(term);
            return never.Task;
        });
        var only = Next(begun);
        election.Stop();
        NewLock().Acquire(TimeSpan.FromMilliseconds(Patience)).Dispose();
        True(!led.IsCompleted && !only.IsHeld, "it waits for the work, but holds nothing");
        never.SetResult(true);
        True(led.Wait(Patience), "it ends");
    }

    /// <summary>Closing the client waits for no work, and ends what leads.</summary>
    public void ClosedWhileLeading()
    {
        var client = new Client(Brief());
        var election = new Election("x", client);
        var begun = new BlockingCollection<Held>();
        var led = election.LeadAsync(term =>
        {
            begun.Add(term);
            client.Dispose();
            return Task.Delay(-1, term.Ending);
        });
        Equal("closed", Ended(Next(begun)).EndingReason);
        Equal(-12, Throws<SyncException>(() => led.GetAwaiter().GetResult()).Status);
    }

    private static Held Ended(Held term)
    {
        True(term.Ending.WaitHandle.WaitOne(Patience), "the work is told");
        return term;
    }
}
