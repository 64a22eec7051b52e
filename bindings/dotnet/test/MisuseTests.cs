using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>What programs should not do, or not at such a moment: each has one clear rule.</summary>
internal sealed partial class SyncTests
{
    private static void Closed(Action call)
    {
        Equal(-12, Throws<SyncException>(call).Status);
    }

    /// <summary>What a thread throws, or null; it has to end.</summary>
    private sealed class Beside
    {
        internal readonly Thread Thread;
        private Exception thrown;

        internal Beside(Action action)
        {
            Thread = new Thread(() =>
            {
                try
                {
                    action();
                }
                catch (Exception exception)
                {
                    thrown = exception;
                }
            });
            Thread.Start();
        }

        internal Exception Thrown()
        {
            Joined(Thread);
            return thrown;
        }
    }

    /// <summary>All at the same moment, and none may throw.</summary>
    private static void AtOnce(params Action[] actions)
    {
        var barrier = new Barrier(actions.Length);
        var threads = actions.Select(action => new Beside(() =>
        {
            barrier.SignalAndWait();
            action();
        })).ToArray();
        foreach (var thread in threads)
            Equal(null, thread.Thrown());
    }

    private static void Finished(Task task)
    {
        True(task.ContinueWith(ended => { }).Wait(Patience), "the task ends");
    }

    private Client NewClient()
    {
        return new Client(NewOptions());
    }

    private void Free(string name = "x")
    {
        new Lock(name, url).Acquire(TimeSpan.FromMilliseconds(Patience)).Release();
    }

    // ---- Work that never returns, and loops on one object ----

    private sealed class Warnings : TraceListener
    {
        private readonly Action<string> told;

        internal Warnings(Action<string> told)
        {
            this.told = told;
        }

        public override void TraceEvent(TraceEventCache cache, string source, TraceEventType type, int id, string text)
        {
            told(text);
        }

        public override void Write(string text)
        {
        }

        public override void WriteLine(string text)
        {
        }
    }

    /// <summary>It keeps its term after a stop, and a warning names it each ttl, until it returns.</summary>
    public void WorkThatGoesOnIsNamed()
    {
        var named = new SemaphoreSlim(0);
        var listener = new Warnings(text =>
        {
            if (text.Contains("\"going on\"") && text.Contains("still at work"))
                named.Release();
        });
        Trace.Listeners.Add(listener);
        try
        {
            var options = NewOptions();
            options.Ttl = TimeSpan.FromSeconds(3);
            var election = new Election("going on", options);
            var mayEnd = new TaskCompletionSource<bool>();
            var led = election.LeadAsync(term =>
            {
                election.Stop();
                return mayEnd.Task;
            });
            True(named.Wait(Patience) && named.Wait(Patience), "it is named twice");
            True(!led.IsCompleted, "it goes on");
            mayEnd.SetResult(true);
            True(led.Wait(Patience), "it ends");
            Free("going on");
        }
        finally
        {
            Trace.Listeners.Remove(listener);
        }
    }

    /// <summary>Of all that begin at once one leads, and the others are refused.</summary>
    public void LoopsThatBeginAtOnce()
    {
        var election = new Election("x", NewOptions());
        var refused = new SemaphoreSlim(0);
        Action lead = () =>
        {
            try
            {
                election.LeadAsync(term =>
                {
                    for (var time = 0; time < 3; time++)
                        True(refused.Wait(Patience), "the others are refused");
                    election.Stop();
                    return Task.FromResult(0);
                }).GetAwaiter().GetResult();
            }
            catch (AlreadyHeldException)
            {
                refused.Release();
            }
        };
        AtOnce(lead, lead, lead, lead);
    }

    // ---- From inside ----

    /// <summary>In the work of LeadAsync: what asks is refused, what ends is told, and nothing waits for itself.</summary>
    public void CalledFromTheWork()
    {
        var calls = new Action<Election>[]
        {
            election => election.Shutdown(), election => election.Stop(), election => election.Cancel(),
            election => election.Dispose()
        };
        foreach (var call in calls)
        {
            var election = new Election("x", NewOptions());
            True(election.LeadAsync(term =>
            {
                Throws<AlreadyHeldException>(election.Run);
                Throws<AlreadyHeldException>(() => election.Campaign(null));
                Throws<AlreadyHeldException>(() => election.LeadAsync(none => Task.FromResult(0)).GetAwaiter().GetResult());
                election.Resign();
                term.Release();
                call(election);
                return Task.Delay(-1, term.Ending);
            }).Wait(Patience), "it ends");
            Free();
        }
    }

    /// <summary>In the first API's terminate: what ends the run may be called again.</summary>
    public void CalledFromTerminate()
    {
        var calls = new Action<Election>[]
        {
            election => election.Shutdown(), election => election.Stop(), election => election.Resign(),
            election => election.Dispose(), election => Throws<AlreadyHeldException>(election.Run)
        };
        foreach (var call in calls)
        {
            Election election = null;
            Exception thrown = null;
            election = new Election("x", NewOptions(), () => election.Shutdown(), () =>
            {
                try
                {
                    call(election);
                }
                catch (Exception exception)
                {
                    thrown = exception;
                }
            });
            Equal(null, new Beside(election.Run).Thrown());
            Equal(null, thrown);
            Free();
        }
    }

    /// <summary>Closing the client in a function of the first API ends its run, which says so.</summary>
    public void ClosedInTheFirstApi()
    {
        var client = NewClient();
        var election = new Closing("x", client);
        var running = new Beside(election.Run);
        Equal(-12, ((SyncException)running.Thrown()).Status);
        Equal(1, election.Lost);
        Free();
    }

    private sealed class Closing : Election
    {
        private readonly Client client;
        internal int Lost;

        internal Closing(string name, Client client) : base(name, client)
        {
            this.client = client;
        }

        public override void LockAcquired() => client.Dispose();

        public override void LockLost() => Lost++;
    }

    /// <summary>What is told of losses, waits and leaders may close what tells it.</summary>
    public void ClosedInCallbacks()
    {
        var client = new Client(Brief());
        var one = new Lock("x", client);
        var closed = new ManualResetEvent(false);
        one.Acquire().Lost.Register(() =>
        {
            one.Dispose();
            client.Dispose();
            closed.Set();
        });
        ForceRelease();
        True(closed.WaitOne(Patience), "it closes at a loss");
        var held = NewLock().Acquire();
        var second = NewClient();
        var waits = new Lock("x", second);
        waits.Waiting += (sender, waiting) => second.Dispose();
        True(new Beside(waits.WaitOne).Thrown() is SyncException, "it closes while it waits");
        var third = NewClient();
        var seen = new ManualResetEvent(false);
        new Election("x", third).Observe(leader =>
        {
            third.Dispose();
            seen.Set();
        });
        True(seen.WaitOne(Patience), "it closes as it sees");
        held.Release();
    }

    // ---- Closing ----

    /// <summary>Closing what is closed has no effect, however many threads do it at once.</summary>
    public void ClosedFromSeveralThreads()
    {
        for (var time = 0; time < 200; time++)
        {
            var client = NewClient();
            var one = new Lock("x", client);
            var held = one.Acquire();
            AtOnce(held.Dispose, held.Dispose, one.Dispose, one.Dispose);
            var election = new Election("x", client);
            var observation = election.Observe(leader => { });
            var term = election.Campaign(null);
            AtOnce(election.Dispose, election.Dispose, term.Dispose, observation.Dispose, observation.Dispose);
            AtOnce(client.Dispose, client.Dispose, client.Dispose);
        }
        Free();
    }

    /// <summary>Closing what a client has while the client closes has no effect, and neither fails.</summary>
    public void ClosedWhileTheClientCloses()
    {
        for (var time = 0; time < 200; time++)
        {
            var client = NewClient();
            var one = new Lock("x", client);
            var held = one.Acquire();
            var election = new Election("y", client);
            election.Campaign(null);
            var observation = election.Observe(leader => { });
            AtOnce(client.Dispose, held.Dispose, one.Dispose, election.Dispose, observation.Dispose);
            Free();
            Free("y");
        }
    }

    /// <summary>An election that is disposed as it begins to lead leads no more, or never does.</summary>
    public void ClosedAsItBegins()
    {
        for (var time = 0; time < 100; time++)
        {
            var election = new Election("x", NewOptions());
            var leads = new Beside(() => election.LeadAsync(term => Task.Delay(-1, term.Ending)).GetAwaiter().GetResult());
            election.Dispose();
            var thrown = leads.Thrown();
            True(thrown == null || ((SyncException)thrown).Status == -12, "it is refused, or ends: " + thrown);
        }
        Free();
    }

    /// <summary>After closing: what asks is refused, what ends has no effect, what is asked answers no.</summary>
    public void UsedAfterClosing()
    {
        foreach (var byClient in new[] { false, true })
        {
            var client = NewClient();
            var one = new Lock("x", client);
            var election = new Election("y", client);
            one.WaitOne();
            election.Campaign(null);
            if (!byClient)
            {
                one.Dispose();
                election.Dispose();
            }
            else
            {
                client.Dispose();
                Closed(() => election.Observe(leader => { }));
                Closed(() => election.LeaderAsync().GetAwaiter().GetResult());
                Closed(() => new Election("x", client));
            }
            Closed(one.WaitOne);
            Closed(() => one.TryWait());
            Closed(() => one.Acquire());
            Closed(() => one.AcquireAsync().GetAwaiter().GetResult());
            Closed(() => one.TryAcquireAsync().GetAwaiter().GetResult());
            Closed(election.Run);
            Closed(() => election.LeadAsync(term => Task.FromResult(0)).GetAwaiter().GetResult());
            Closed(() => election.Campaign(null));
            Closed(() => election.CampaignAsync(null).GetAwaiter().GetResult());
            foreach (var end in new Action[] { one.Cancel, one.Dispose, election.Cancel, election.Stop, election.Shutdown, election.Dispose })
                end();
            Throws<NotHeldException>(one.Release);
            Throws<NotHeldException>(election.Resign);
            True(!one.IsHeld && !election.IsLeader, "nothing is held");
        }
    }

    /// <summary>Who asks who leads, of a store that does not answer, is told that the client was closed.</summary>
    public void ClosedWhileItIsAskedForTheLeader()
    {
        var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var client = new Client("http://127.0.0.1:" + ((IPEndPoint)silent.LocalEndpoint).Port);
        var asked = new Election("x", client).LeaderAsync();
        using (silent.AcceptTcpClient())
        {
            client.Dispose();
            Finished(asked);
            Closed(() => asked.GetAwaiter().GetResult());
        }
        silent.Stop();
    }

    // ---- What ends a wait or a run, while the client closes ----

    /// <summary>A client with two waits and a run, each of which somebody cuts.</summary>
    private sealed class Cuttable
    {
        internal readonly Client Client;
        internal readonly Lock Lock;
        internal readonly Election Election;
        internal readonly CancellationTokenSource Source = new CancellationTokenSource();
        internal readonly CancellationTokenSource RunsSource = new CancellationTokenSource();
        internal readonly Task Asked;
        internal readonly Task Led;
        internal readonly Beside Waits;
        private readonly TaskCompletionSource<bool> workMayEnd = new TaskCompletionSource<bool>();

        internal Cuttable(SyncTests test, string state)
        {
            Client = test.NewClient();
            Lock = new Lock("x", Client);
            var waiting = new ManualResetEvent(false);
            var reached = new ManualResetEvent(false);
            var other = new Lock("x", Client);
            other.Waiting += (sender, seen) => waiting.Set();
            Waits = new Beside(other.WaitOne);
            Asked = Lock.AcquireAsync(Source.Token);
            Election = new Election(state == "standing" ? "x" : "y", Client);
            Election.Waiting += (sender, seen) => reached.Set();
            Led = Election.LeadAsync(term => Work(term, state, reached), null, RunsSource.Token);
            True(waiting.WaitOne(Patience) && reached.WaitOne(Patience), state);
        }

        private Task Work(Held term, string state, ManualResetEvent reached)
        {
            if (state == "draining")
            {
                Election.Stop();
                True(term.Ending.WaitHandle.WaitOne(Patience), "it drains");
            }
            reached.Set();
            return workMayEnd.Task;
        }

        internal void Ended()
        {
            workMayEnd.SetResult(true);
            Cut(Waits.Thrown());
            foreach (var task in new[] { Asked, Led })
            {
                Finished(task);
                Cut(task.Exception?.InnerException);
            }
            True(Asked.IsFaulted || Asked.IsCanceled, "it is not held");
        }

        private static void Cut(Exception thrown)
        {
            var ended = (thrown as SyncException)?.Status;
            True(thrown == null || ended == -12 || ended == -6, "it is cut: " + thrown);
        }
    }

    /// <summary>Neither fails; each wait and each run ends, in whatever state, and nothing is held.</summary>
    public void CutWhileTheClientCloses()
    {
        var cuts = new Action<Cuttable>[]
        {
            one => one.Source.Cancel(), one => one.RunsSource.Cancel(), one => one.Lock.Cancel(),
            one => one.Lock.Dispose(), one => one.Election.Stop(), one => one.Election.Shutdown(),
            one => one.Election.Cancel(), one => one.Election.Dispose()
        };
        for (var time = 0; time < 5; time++)
            foreach (var state in new[] { "standing", "leading", "draining" })
                foreach (var cut in cuts)
                {
                    var held = NewLock().Acquire();
                    var one = new Cuttable(this, state);
                    AtOnce(one.Client.Dispose, () => cut(one));
                    one.Ended();
                    held.Release();
                    Free();
                    Free("y");
                }
    }

    /// <summary>Work that returns, throws or resigns while the client closes: LeadAsync says that it was closed.</summary>
    public void WorkEndsWhileTheClientCloses()
    {
        var ends = new Action<Held>[]
        {
            term => { }, term => term.Release(), term => throw new Exception("the work's own")
        };
        for (var time = 0; time < 60; time++)
        {
            var end = ends[time % ends.Length];
            var client = NewClient();
            var begun = new ManualResetEvent(false);
            var led = new Election("x", client).LeadAsync(term =>
            {
                begun.Set();
                term.Ending.WaitHandle.WaitOne();
                end(term);
                return Task.FromResult(0);
            });
            True(begun.WaitOne(Patience), "it leads");
            AtOnce(client.Dispose, client.Dispose);
            Finished(led);
            Closed(() => led.GetAwaiter().GetResult());
            Free();
        }
    }
}
