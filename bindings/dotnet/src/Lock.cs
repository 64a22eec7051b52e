using System;
using System.Diagnostics.CodeAnalysis;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// One name that at most one holder has at a time, on however many machines. It is held by this object, not by a
    /// thread, and goes on being held until it is released, or its client is closed, whether the program refers to this
    /// object or not.
    /// </summary>
    public class Lock : IDisposable
    {
        /// <summary>Where the elector next to this program listens; as a URL it means the default.</summary>
        public const string DefaultBaseUri = Connection.DefaultBaseUri;

        private readonly Handle handle;

        /// <summary>A lock on the default URL.</summary>
        public Lock(string name) : this(name, new Options())
        {
        }

        /// <summary>A lock on this URL, which may be any that the library knows.</summary>
        public Lock(string name, [AllowNull] string baseUri) : this(name, new Options { Url = baseUri })
        {
        }

        /// <summary>A lock with options, on the connection that all of its URL share.</summary>
        /// <param name="name">1 to 1,024 bytes of UTF-8, compared by bytes</param>
        /// <param name="options">where, and how</param>
        public Lock(string name, Options options) : this(name, Client.Of(options), options)
        {
        }

        /// <summary>A lock of a client, which may be closed; the options are those that differ from the client's.</summary>
        public Lock(string name, Client client, [AllowNull] Options options = null)
            : this(name, Client.Of(client, options), options ?? new Options())
        {
        }

        private Lock(string name, Connection connection, Options options)
        {
            handle = new Handle(name, connection, options, false)
            {
                OnLost = TellLost,
                OnWaiting = TellWaiting
            };
        }

        /// <summary>
        /// Who is told of what becomes of it; null: nobody. Told of a loss on a thread of this library.
        /// </summary>
        [AllowNull, MaybeNull]
        public LockListener Listener { get; set; }

        /// <summary>Who has it, and how many are before this one, whenever that changes for a request that waits.</summary>
        public event EventHandler<WaitingEventArgs> Waiting;

        private void TellLost()
        {
            var listener = Listener;
            if (listener != null)
                handle.Teller.Tell(listener.LockLost);
        }

        private void TellWaiting(WaitingEventArgs waits)
        {
            var told = Waiting;
            if (told != null)
                handle.Teller.Tell(() => told(this, waits));
        }

        private Held Tell(Held held)
        {
            var listener = Listener;
            if (listener != null)
                Teller.Guard(listener.LockAcquired);
            return held;
        }

        /// <summary>Wait until it is held. For <c>using</c>.</summary>
        public Held Acquire() => Tell(handle.Take(null, handle.WaitMs));

        /// <summary>Wait no longer than this; <see cref="Timeout.InfiniteTimeSpan"/>: for ever.</summary>
        /// <exception cref="LockTimeoutException">Another holder has it then.</exception>
        public Held Acquire(TimeSpan timeout) => Tell(handle.Take(null, Options.Milliseconds(timeout)));

        /// <summary>Ask without blocking. Cancelling withdraws the request.</summary>
        public async Task<Held> AcquireAsync(CancellationToken cancellation = default(CancellationToken)) =>
            Tell(await handle.TakeAsync(null, handle.WaitMs, cancellation).ConfigureAwait(false));

        /// <summary>Ask without blocking, and wait no longer than this.</summary>
        /// <exception cref="LockTimeoutException">Another holder has it then.</exception>
        public async Task<Held> AcquireAsync(
            TimeSpan timeout, CancellationToken cancellation = default(CancellationToken)) =>
            Tell(await handle.TakeAsync(null, Options.Milliseconds(timeout), cancellation).ConfigureAwait(false));

        /// <summary>Try once, without waiting for another holder: null when there is one.</summary>
#if NETCOREAPP || NETSTANDARD2_1
        public Task<Held?> TryAcquireAsync(CancellationToken cancellation = default) =>
#else
        public Task<Held> TryAcquireAsync(CancellationToken cancellation = default(CancellationToken)) =>
#endif
            TryAcquireAsync(TimeSpan.Zero, cancellation);

        /// <summary>Wait no longer than this: null when another holder has it then.</summary>
#if NETCOREAPP || NETSTANDARD2_1
        public async Task<Held?> TryAcquireAsync(TimeSpan timeout, CancellationToken cancellation = default)
#else
        public async Task<Held> TryAcquireAsync(
            TimeSpan timeout, CancellationToken cancellation = default(CancellationToken))
#endif
        {
            try
            {
                return await AcquireAsync(timeout, cancellation).ConfigureAwait(false);
            }
            catch (LockTimeoutException)
            {
                return null;
            }
        }

        /// <summary>
        /// Wait until it is held; <see cref="Release"/> gives it back. What the listener throws comes out.
        /// </summary>
        /// <exception cref="AlreadyHeldException">
        /// (an <see cref="InvalidOperationException"/>) This object holds it, or asks for it, already.
        /// </exception>
        public void WaitOne()
        {
            handle.Take(null, handle.WaitMs);
            Listener?.LockAcquired();
        }

        /// <summary>True when it is held; false when another holder has it. What the listener throws comes out.</summary>
        public bool TryWait()
        {
            try
            {
                handle.Take(null, 0);
            }
            catch (LockTimeoutException)
            {
                return false;
            }
            Listener?.LockAcquired();
            return true;
        }

        /// <summary>
        /// Release it and wait until the store knows. As in the first API the listener is told by
        /// <see cref="LockListener.LockLost"/>, and what it throws comes out.
        /// </summary>
        /// <exception cref="NotHeldException">
        /// (an <see cref="InvalidOperationException"/>) It is not held.
        /// </exception>
        public void Release()
        {
            handle.RequirePresent().Release();
            Listener?.LockLost();
        }

        /// <summary>End the waiting of another thread, which then throws.</summary>
        public void Cancel() => handle.Cancel();

        /// <summary>Whether this object holds it now.</summary>
        public bool IsHeld => handle.IsHeldNow;

        /// <summary>Release what it holds, and take back what it asks for; it is not used again.</summary>
        public void Dispose() => handle.Dispose();
    }
}
