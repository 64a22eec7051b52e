using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// One name that at most one candidate leads at a time. <see cref="LeadAsync"/> is for programs that act while they
    /// lead, and <see cref="Run"/> the same for those of the first API; <see cref="Campaign(string)"/> is one term.
    /// </summary>
    public class Election : LockListener, IDisposable
    {
        private readonly Handle handle;
        private readonly Action elected;
        private readonly Action terminate;
        private volatile Run run; // the present one, or else the next

        /// <summary>An election on the default URL.</summary>
        public Election(string name, [AllowNull] Action elected, [AllowNull] Action terminate)
            : this(name, new Options(), elected, terminate)
        {
        }

        /// <summary>An election on this URL, which may be any that the library knows.</summary>
        public Election(
            string name, [AllowNull] string baseUrl, [AllowNull] Action elected, [AllowNull] Action terminate)
            : this(name, new Options { Url = baseUrl }, elected, terminate)
        {
        }

        /// <summary>
        /// An election with options, on the connection that all of its URL share; the functions are those of
        /// <see cref="Run"/>.
        /// </summary>
        public Election(
            string name, Options options, [AllowNull] Action elected = null, [AllowNull] Action terminate = null)
            : this(name, Client.Of(options), options, elected, terminate)
        {
        }

        /// <summary>An election of a client, with the options that differ from the client's.</summary>
        public Election(string name, Client client, [AllowNull] Options options = null)
            : this(name, Client.Of(client, options), options ?? new Options(), null, null)
        {
        }

        private Election(string name, Connection connection, Options options, Action elected, Action terminate)
        {
            handle = new Handle(name, connection, options, true)
            {
                OnWaiting = TellWaiting
            };
            this.elected = elected;
            this.terminate = terminate;
            PrepareRun();
        }

        private void PrepareRun()
        {
            run = new Run(handle) { Over = PrepareRun };
        }

        private static byte[] ValueToC(string value) => value == null ? null : Text.ToC("value", value);

        /// <summary>Stand, and wait until this candidate leads; observers see the value.</summary>
        public Held Campaign([AllowNull] string value) => handle.Take(ValueToC(value), handle.WaitMs);

        /// <summary>Wait no longer than this; <see cref="Timeout.InfiniteTimeSpan"/>: for ever.</summary>
        /// <exception cref="LockTimeoutException">Another leads then.</exception>
        public Held Campaign([AllowNull] string value, TimeSpan timeout) =>
            handle.Take(ValueToC(value), Options.Milliseconds(timeout));

        /// <summary>Stand without blocking. Cancelling withdraws the request.</summary>
        public Task<Held> CampaignAsync(
            [AllowNull] string value, CancellationToken cancellation = default(CancellationToken)) =>
            handle.TakeAsync(ValueToC(value), handle.WaitMs, cancellation);

        /// <summary>
        /// Stand again and again, and do this work while leading, until <see cref="Stop"/>, or until the token is
        /// cancelled; the task ends then, when the work has.
        /// </summary>
        /// <remarks>
        /// The work shall end soon when <see cref="Held.Ending"/> of its term is cancelled; the term is renewed until it
        /// has, unless it is lost. Work that returns before gives its term back, and stands again; work that throws,
        /// likewise after a pause. A wait that ends, and a store that refuses, end the task with an exception.
        /// </remarks>
        /// <exception cref="AlreadyHeldException">This object leads, or stands, already.</exception>
        public async Task LeadAsync(
            Func<Held, Task> work, [AllowNull] string value = null,
            CancellationToken cancellation = default(CancellationToken))
        {
            if (work == null)
                throw new ArgumentNullException(nameof(work));
            var own = run.Start(ValueToC(value), handle.WaitMs);
            using (cancellation.Register(own.Stop))
            {
                Held term;
                while ((term = await own.NextTermAsync().ConfigureAwait(false)) != null)
                    term.Done(!await Do(work, term).ConfigureAwait(false));
            }
        }

        /// <summary>Whether the work came to its end, be it by its token.</summary>
        private static async Task<bool> Do(Func<Held, Task> work, Held term)
        {
            try
            {
                await Task.Run(() => work(term)).ConfigureAwait(false);
                return true;
            }
            catch (OperationCanceledException) when (term.Ending.IsCancellationRequested)
            {
                return true;
            }
            catch (Exception thrown)
            {
                Teller.Report(thrown);
                return false;
            }
        }

        /// <summary>
        /// End <see cref="LeadAsync"/> when its work has ended: the present one, or else the next as it begins. Waits for
        /// nothing.
        /// </summary>
        public void Stop() => run.Stop();

        /// <summary>
        /// End the present term, and wait until the store knows. The work of <see cref="LeadAsync"/> or
        /// <see cref="Run"/> is told to end, and nobody waits; it stands again.
        /// </summary>
        public void Resign() => handle.RequirePresent().Release();

        /// <summary>End the waiting of another thread, which then throws; a run is stopped.</summary>
        public void Cancel() => handle.Cancel();

        /// <summary>Whether this candidate leads now.</summary>
        public bool IsLeader => handle.IsHeldNow;

        /// <summary>Change what observers see of the present term.</summary>
        public void SetValue(string value)
        {
            var text = Text.ToC("value", value);
            var request = new Request();
            handle.Connection.StartAwaited(
                request, number => Native.mpsync_election_set_value_start(handle.Own, number, text));
            Request.Check(handle.Connection.Await(request));
        }

        /// <summary>Who has it, and how many are before this one, whenever that changes for a candidate that waits.</summary>
        public event EventHandler<WaitingEventArgs> Waiting;

        private void TellWaiting(WaitingEventArgs waits)
        {
            var told = Waiting;
            if (told != null)
                handle.Teller.Tell(() => told(this, waits));
        }

        /// <summary>Who leads now, or null.</summary>
#if NETCOREAPP || NETSTANDARD2_1
        public async Task<Leader?> LeaderAsync()
#else
        public async Task<Leader> LeaderAsync()
#endif
        {
            var first = new TaskCompletionSource<Leader>(TaskCreationOptions.RunContinuationsAsynchronously);
            using (new Observation(
                handle, leader => first.TrySetResult(leader), () => first.TrySetException(handle.Closed())))
                return await first.Task.ConfigureAwait(false);
        }

        /// <summary>
        /// Tell who leads now (null: nobody), and then each change, one after the other, on a thread of this library,
        /// until what is returned is disposed.
        /// </summary>
#if NETCOREAPP || NETSTANDARD2_1
        public IDisposable Observe(Action<Leader?> told)
#else
        public IDisposable Observe(Action<Leader> told)
#endif
        {
            if (told == null)
                throw new ArgumentNullException(nameof(told));
            var teller = new Teller();
            return new Observation(handle, leader => teller.Tell(() => told(leader)), () => { });
        }

#if NETCOREAPP || NETSTANDARD2_1
        /// <summary>
        /// Who leads now (null: nobody), and then each change, until the token is cancelled or the client is closed.
        /// </summary>
        public async IAsyncEnumerable<Leader?> ObserveAsync(
            [EnumeratorCancellation] CancellationToken cancellation = default)
        {
            var seen = new ConcurrentQueue<Leader?>();
            var arrived = new SemaphoreSlim(0); // told once more when the observation has ended
            using var observation = new Observation(
                handle,
                leader =>
                {
                    seen.Enqueue(leader);
                    arrived.Release();
                },
                () => arrived.Release());
            for (;;)
            {
                await arrived.WaitAsync(cancellation).ConfigureAwait(false);
                if (!seen.TryDequeue(out var leader))
                    yield break;
                yield return leader;
            }
        }
#endif

        /// <summary>Stand again and again until <see cref="Shutdown"/>.</summary>
        /// <remarks>
        /// <c>elected</c> runs on this thread when a term begins. <c>terminate</c> is called once for each of them, on
        /// another thread, when the term shall end, for whatever reason: an <c>elected</c> that is still at work has to
        /// return then. The term stays renewed until both have returned, unless it is lost, and the next one begins then.
        /// An <c>elected</c> that throws ends its term; one that returns does not.
        /// </remarks>
        public void Run()
        {
            var own = run.Start(null, Handle.WaitForEver);
            for (var term = own.NextTerm(); term != null; term = own.NextTerm())
                LeadOnThisThread(own, term);
        }

        private void LeadOnThisThread(Run own, Held term)
        {
            if (term.Ending.IsCancellationRequested)
            {
                term.Done(false);
                return;
            }
            var terminated = new Lazy<bool>(() => Teller.Guard(LockLost)); // once, whoever comes first
            var told = new SemaphoreSlim(0);
            term.Ending.Register(() =>
            {
                _ = terminated.Value;
                told.Release();
            });
            var failed = !own.Guard(LockAcquired);
            if (failed)
                _ = terminated.Value;
            else
                own.Wait(told);
            term.Done(failed);
        }

        /// <summary>A term begins: <see cref="Run"/> calls it, and it calls <c>elected</c>.</summary>
        public virtual void LockAcquired() => elected?.Invoke();

        /// <summary>A term shall end: likewise, and <c>terminate</c>.</summary>
        public virtual void LockLost() => terminate?.Invoke();

        /// <summary>End <see cref="Run"/>, if it has begun: <c>terminate</c> is called. Waits for nothing.</summary>
        public void Shutdown()
        {
            if (run.IsStarted)
                run.Stop();
        }

        /// <summary>Resign, take back what is asked for, and stop what runs; it is not used again.</summary>
        public void Dispose() => handle.Dispose();
    }
}
