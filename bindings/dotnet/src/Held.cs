using System;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// One grant of a lock, or one term of a leader. It stays ended when it has ended. For <c>using</c>;
    /// safe for use by many threads.
    /// </summary>
    public sealed class Held : IDisposable
#if NETCOREAPP || NETSTANDARD2_1
        , IAsyncDisposable
#endif
    {
        private readonly Handle handle;
        private readonly ulong grant;
        private readonly CancellationTokenSource lost = new CancellationTokenSource();
        private LockLostException loss;
        private volatile bool ended;

        internal Held(Handle handle, ulong grant, ulong token)
        {
            this.handle = handle;
            this.grant = grant;
            Token = token;
        }

        /// <summary>The lock's name.</summary>
        public string Name
        {
            get { return handle.Name; }
        }

        /// <summary>The fencing token, greater than that of every earlier grant of the name.</summary>
        public ulong Token { get; }

        /// <summary>
        /// Whether this very grant is held now. Compares with the clock, so it is right after any pause.
        /// </summary>
        public bool IsHeld
        {
            get { return handle.IsHeld(grant); }
        }

        /// <summary>How long the right lasts unless it is renewed; zero when it is not held.</summary>
        public TimeSpan Remaining
        {
            get { return handle.Remaining(grant); }
        }

        /// <summary>Cancelled when this grant was lost; never, when it is released.</summary>
        public CancellationToken Lost
        {
            get { return lost.Token; }
        }

        /// <summary>Throws <see cref="LockLostException"/> once it was lost.</summary>
        public void Check()
        {
            var was = Volatile.Read(ref loss);
            if (was != null)
                throw was;
        }

        internal bool IsOf(Event told)
        {
            return told != null && told.Grant == grant;
        }

        private void StartRelease(ulong number)
        {
            ended = true;
            handle.Forget(this);
            handle.ReleaseStart(number, grant);
        }

        /// <summary>Release it and wait until the store knows, or the right has run out.</summary>
        /// <exception cref="NotHeldException">It had ended before.</exception>
        public void Release()
        {
            try
            {
                handle.Client.Await(new Request(), StartRelease);
            }
            catch (NotHeldException)
            {
                LookForLoss();
                throw;
            }
        }

        /// <summary>As <see cref="Release"/>, without blocking.</summary>
        public async Task ReleaseAsync()
        {
            try
            {
                Request.Check(await handle.Client.Ask(StartRelease).Ended.ConfigureAwait(false));
            }
            catch (NotHeldException)
            {
                LookForLoss();
                throw;
            }
        }

        /// <summary>Release it, unless that was done.</summary>
        /// <exception cref="LockLostException">It was lost.</exception>
        public void Dispose()
        {
            Check();
            if (ended)
                return;
            try
            {
                Release();
            }
            catch (NotHeldException)
            {
                Check();
            }
        }

#if NETCOREAPP || NETSTANDARD2_1
        /// <summary>As <see cref="Dispose"/>, without blocking.</summary>
        public async ValueTask DisposeAsync()
        {
            Check();
            if (ended)
                return;
            try
            {
                await ReleaseAsync().ConfigureAwait(false);
            }
            catch (NotHeldException)
            {
                Check();
            }
        }
#endif

        /// <summary>Release without waiting; a grant that has ended already is none of our business.</summary>
        internal void LetGo()
        {
            ended = true;
            handle.Forget(this);
            try
            {
                handle.ReleaseStart(0, grant);
            }
            catch (NotHeldException)
            {
                return;
            }
        }

        /// <summary>Tells of a loss whose event the client's thread has not come to yet.</summary>
        internal void LookForLoss()
        {
            var reason = handle.LostReason(grant);
            if (reason != 0)
                handle.TellLost(this, reason);
        }

        /// <summary>Whether this is the first to say so.</summary>
        internal bool Lose(LockLostException why)
        {
            if (Interlocked.CompareExchange(ref loss, why, null) != null)
                return false;
            // What the program registered does not run on the client's thread.
            Client.Report(lost.Cancel);
            return true;
        }
    }
}
