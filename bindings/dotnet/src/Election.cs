using System;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// One name that at most one candidate leads at a time. <see cref="Run"/> is the loop of programs
    /// that act while they lead; the other methods are its parts.
    /// </summary>
    public class Election : LockListener, IDisposable
    {
        private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

        private readonly Handle handle;
        private readonly Action elected;
        private readonly Action terminate;
        private int running;
        private volatile CancellationTokenSource stop = new CancellationTokenSource();

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

        /// <summary>An election with options; the functions are those of <see cref="Run"/>.</summary>
        public Election(
            string name, Options options, [AllowNull] Action elected = null, [AllowNull] Action terminate = null)
        {
            handle = new Handle(name, true, options);
            this.elected = elected ?? (() => { });
            this.terminate = terminate ?? (() => { });
        }

        /// <summary>Stand, and wait until this candidate leads; observers see the value.</summary>
        public Held Campaign([AllowNull] string value)
        {
            return handle.Take(value, Handle.WaitAsOption);
        }

        /// <summary>Wait no longer than this.</summary>
        /// <exception cref="LockTimeoutException">Another leads then.</exception>
        public Held Campaign([AllowNull] string value, TimeSpan timeout)
        {
            return handle.Take(value, Options.Milliseconds(timeout));
        }

        /// <summary>Stand without blocking. Cancelling withdraws the request.</summary>
        public Task<Held> CampaignAsync(
            [AllowNull] string value, CancellationToken cancellation = default(CancellationToken))
        {
            return handle.TakeAsync(value, Handle.WaitAsOption, cancellation);
        }

        /// <summary>End the present term, and wait until the store knows.</summary>
        public void Resign()
        {
            handle.RequirePresent().Release();
        }

        /// <summary>End the waiting of another thread, which then throws.</summary>
        public void Cancel()
        {
            handle.Cancel();
        }

        /// <summary>Whether this candidate leads now.</summary>
        public bool IsLeader
        {
            get { return handle.IsHeldNow; }
        }

        /// <summary>Change what observers see of the present term.</summary>
        public void SetValue(string value)
        {
            handle.SetValue(value);
        }

        /// <summary>Who leads now, or null.</summary>
#if NETCOREAPP
        public async Task<Leader?> LeaderAsync()
#else
        public async Task<Leader> LeaderAsync()
#endif
        {
            var first = new TaskCompletionSource<Leader>(TaskCreationOptions.RunContinuationsAsynchronously);
            using (Observe(leader => first.TrySetResult(leader)))
                return await first.Task.ConfigureAwait(false);
        }

        /// <summary>
        /// Tell who leads now (null: nobody), and then each change, one after the other, on the thread
        /// pool, until what is returned is disposed.
        /// </summary>
#if NETCOREAPP
        public IDisposable Observe(Action<Leader?> told)
#else
        public IDisposable Observe(Action<Leader> told)
#endif
        {
            return new Observation(handle, told);
        }

        /// <summary>Stand again and again until <see cref="Shutdown"/>.</summary>
        /// <remarks>
        /// <c>elected</c> runs on this thread when a term begins; <c>terminate</c> on another when it has
        /// ended, for whatever reason: an <c>elected</c> that is still at work has to return then. The
        /// next term begins when both have returned.
        /// </remarks>
        public void Run()
        {
            if (Interlocked.Exchange(ref running, 1) == 1)
                throw new AlreadyHeldException("the election \"" + handle.Name + "\" is running already");
            try
            {
                while (!stop.IsCancellationRequested)
                    RunTerm(stop.Token);
            }
            finally
            {
                stop = new CancellationTokenSource();
                Interlocked.Exchange(ref running, 0);
            }
        }

        private void RunTerm(CancellationToken stopped)
        {
            Held term;
            try
            {
                term = handle.TakeAsync(null, Handle.WaitForEver, stopped).GetAwaiter().GetResult();
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SyncException failure) when (failure.Status == SyncException.Unreachable)
            {
                Trace.TraceWarning("metaparticle-sync: " + failure.Message);
                stopped.WaitHandle.WaitOne(RetryPause);
                return;
            }
            Lead(term, stopped);
        }

        private void Lead(Held term, CancellationToken stopped)
        {
            using (var over = CancellationTokenSource.CreateLinkedTokenSource(term.Lost, stopped))
            {
                var watch = Task.Factory.StartNew(
                    () =>
                    {
                        over.Token.WaitHandle.WaitOne();
                        term.LetGo();
                        LockLost();
                    },
                    TaskCreationOptions.LongRunning);
                LockAcquired();
                watch.Wait();
            }
        }

        /// <summary>A term begins: <see cref="Run"/> calls it, and it calls <c>elected</c>.</summary>
        public virtual void LockAcquired()
        {
            Client.Guard(elected);
        }

        /// <summary>A term has ended: likewise, and <c>terminate</c>.</summary>
        public virtual void LockLost()
        {
            Client.Guard(terminate);
        }

        /// <summary>End <see cref="Run"/>: a leader resigns, a candidate stands no more.</summary>
        public void Shutdown()
        {
            stop.Cancel();
        }

        /// <summary>Resign, and cancel what is asked for.</summary>
        public void Dispose()
        {
            handle.Dismiss();
        }
    }
}
