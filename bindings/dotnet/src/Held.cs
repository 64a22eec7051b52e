using System;
using System.Diagnostics.CodeAnalysis;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// One grant of a lock, or one term of a leader. It stays ended when it has ended, and lives, referenced or not,
    /// until then. For <c>using</c>; safe for use by many threads.
    /// </summary>
    public sealed class Held : IDisposable
#if NETCOREAPP || NETSTANDARD2_1
        , IAsyncDisposable
#endif
    {
        private readonly Handle handle;
        private readonly Run run;
        private readonly ulong grant;
        private readonly CancellationTokenSource lost = new CancellationTokenSource();
        private readonly CancellationTokenSource ending;
        private LockLostException loss;
        private volatile bool ended;

        internal Held(Handle handle, Run run, ulong grant, ulong token)
        {
            this.handle = handle;
            this.run = run;
            this.grant = grant;
            Token = token;
            ending = run == null ? lost : new CancellationTokenSource();
        }

        internal bool IsTerm => run != null;

        /// <summary>The lock's name.</summary>
        public string Name => handle.Name;

        /// <summary>The fencing token, greater than that of every earlier grant of the name.</summary>
        public ulong Token { get; }

        /// <summary>
        /// Whether this very grant is held now. Compares with the clock, so it is right after any pause.
        /// </summary>
        public bool IsHeld => Native.mpsync_election_is_leader(handle.Own, grant) != 0;

        /// <summary>How long the right lasts unless it is renewed; zero when it is not held.</summary>
        public TimeSpan Remaining =>
            TimeSpan.FromMilliseconds(Native.mpsync_election_remaining_ms(handle.Own, grant));

        /// <summary>Cancelled when this grant was lost; never, when it is released.</summary>
        public CancellationToken Lost => lost.Token;

        /// <summary>
        /// Cancelled when the work of a term of <see cref="Election.LeadAsync"/> shall end, for whatever reason; of any
        /// other grant it is <see cref="Lost"/>.
        /// </summary>
        public CancellationToken Ending => ending.Token;

        /// <summary>Why the work shall end: <c>stopped</c>, <c>asked</c>, <c>expired</c>, …; null before.</summary>
        [MaybeNull]
        public string EndingReason { get; private set; }

        /// <summary>
        /// How long the term stayed one's own when <see cref="Ending"/> was cancelled: zero when it was lost,
        /// <see cref="Timeout.InfiniteTimeSpan"/> when it is renewed until the work has ended.
        /// </summary>
        public TimeSpan EndingLeft { get; private set; }

        /// <summary>Throws <see cref="LockLostException"/> once it was lost.</summary>
        public void Check()
        {
            LookForLoss();
            var was = Volatile.Read(ref loss);
            if (was != null)
                throw was;
        }

        /// <summary>Neither present nor kept any more.</summary>
        internal void Forget()
        {
            ended = true;
            handle.End(this);
            handle.Connection.Drop(grant);
        }

        /// <summary>
        /// Release it and wait until the store knows, or the right has run out. A term of
        /// <see cref="Election.LeadAsync"/> is asked to end, and nobody waits.
        /// </summary>
        /// <exception cref="NotHeldException">It had ended before.</exception>
        public void Release()
        {
            if (Leave())
                return;
            var request = new Request();
            EndAs(() =>
            {
                handle.Connection.StartAwaited(request, StartRelease);
                Request.Check(handle.Connection.Await(request));
            });
        }

        /// <summary>As <see cref="Release"/>, without blocking.</summary>
        public async Task ReleaseAsync()
        {
            if (Leave())
                return;
            var request = new Request();
            EndAs(() => handle.Connection.Start(request, StartRelease));
            var told = await request.Ended.ConfigureAwait(false);
            EndAs(() => Request.Check(told));
        }

        private void StartRelease(ulong number)
        {
            Forget();
            Native.mpsync_election_resign_start(handle.Own, number, grant);
        }

        /// <summary>Ask for the end of a term, which ends with its work, that may be what asks.</summary>
        private bool Leave()
        {
            if (IsTerm)
                Native.mpsync_election_resign_start(handle.Own, 0, grant);
            return IsTerm;
        }

        /// <summary>Who releases too late has been told of the loss.</summary>
        private void EndAs(Action release)
        {
            try
            {
                release();
            }
            catch (NotHeldException)
            {
                LookForLoss();
                throw;
            }
        }

        /// <summary>Release it, unless it has ended. Throws nothing, so that what the block threw is not replaced.</summary>
        public void Dispose()
        {
            try
            {
                if (!ended)
                    Release();
            }
            catch (SyncException tooLate)
            {
                Teller.Warn(tooLate.Message + " at the end of its block");
            }
        }

#if NETCOREAPP || NETSTANDARD2_1
        /// <summary>As <see cref="Dispose"/>, without blocking.</summary>
        public async ValueTask DisposeAsync()
        {
            try
            {
                if (!ended)
                    await ReleaseAsync().ConfigureAwait(false);
            }
            catch (SyncException tooLate)
            {
                Teller.Warn(tooLate.Message + " at the end of its block");
            }
        }
#endif

        /// <summary>Tells of a loss whose event has not been read yet.</summary>
        internal void LookForLoss()
        {
            var reason = Native.mpsync_election_lost_reason(handle.Own, grant);
            if (reason != 0)
                Lose(reason);
        }

        /// <summary>It was lost, or its client was closed.</summary>
        internal void EndUnasked(int why)
        {
            if (why == 0)
                Forget();
            else
                Lose(why);
        }

        private void Lose(int why)
        {
            var reason = Text.Of(Native.mpsync_reason_text(why));
            var lossOfThis = new LockLostException("\"" + Name + "\" was lost (" + reason + ")");
            if (Interlocked.CompareExchange(ref loss, lossOfThis, null) != null)
                return;
            Forget();
            handle.Teller.Tell(lost.Cancel);
            if (!IsTerm)
                handle.OnLost?.Invoke();
        }

        /// <summary>The work of this term shall end.</summary>
        internal void End(Event told)
        {
            EndingReason = Text.Of(Native.mpsync_reason_text(told.Reason));
            EndingLeft = TimeSpan.FromMilliseconds(told.LeftMs);
            if (told.LeftMs == 0 && told.Reason <= (int)mpsync_reason.MPSYNC_REASON_OTHER_ELECTOR)
                Lose(told.Reason);
            handle.Teller.Tell(ending.Cancel);
        }

        /// <summary>The work of this term has ended.</summary>
        internal void Done(bool failed)
        {
            LookForLoss();
            handle.End(this);
            run.TermDone(grant, failed);
        }
    }
}
