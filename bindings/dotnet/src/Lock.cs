using System;
using System.Diagnostics.CodeAnalysis;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// One name that at most one holder has at a time, on however many machines. It is held by this
    /// object, not by a thread. All exceptions are <see cref="SyncException"/>s.
    /// </summary>
    public class Lock : IDisposable
    {
        /// <summary>Where the elector next to this program listens; as a URL it means the default.</summary>
        public const string DefaultBaseUri = Client.DefaultBaseUri;

        private readonly Handle handle;

        /// <summary>A lock on the default URL.</summary>
        public Lock(string name) : this(name, new Options())
        {
        }

        /// <summary>A lock on this URL, which may be any that the library knows.</summary>
        public Lock(string name, [AllowNull] string baseUri) : this(name, new Options { Url = baseUri })
        {
        }

        /// <summary>A lock with options.</summary>
        /// <param name="name">1 to 1,024 bytes of UTF-8, compared by bytes</param>
        /// <param name="options">where, and how</param>
        public Lock(string name, Options options)
        {
            handle = new Handle(name, false, options);
            handle.OnLost = lost =>
            {
                var listener = Listener;
                if (listener != null)
                    Client.Report(listener.LockLost);
            };
        }

        /// <summary>Who is told of what becomes of it; null: nobody.</summary>
        [AllowNull, MaybeNull]
        public LockListener Listener { get; set; }

        private Held Tell(Held held)
        {
            var listener = Listener;
            if (listener != null)
                Client.Guard(listener.LockAcquired);
            return held;
        }

        /// <summary>Wait until it is held. For <c>using</c>.</summary>
        public Held Acquire()
        {
            return Tell(handle.Take(null, Handle.WaitAsOption));
        }

        /// <summary>Wait no longer than this.</summary>
        /// <exception cref="LockTimeoutException">Another holder has it then.</exception>
        public Held Acquire(TimeSpan timeout)
        {
            return Tell(handle.Take(null, Options.Milliseconds(timeout)));
        }

        /// <summary>Ask without blocking. Cancelling withdraws the request.</summary>
        public async Task<Held> AcquireAsync(CancellationToken cancellation = default(CancellationToken))
        {
            return Tell(await handle.TakeAsync(null, Handle.WaitAsOption, cancellation).ConfigureAwait(false));
        }

        /// <summary>Ask without blocking, and wait no longer than this.</summary>
        public async Task<Held> AcquireAsync(
            TimeSpan timeout, CancellationToken cancellation = default(CancellationToken))
        {
            var waitMs = Options.Milliseconds(timeout);
            return Tell(await handle.TakeAsync(null, waitMs, cancellation).ConfigureAwait(false));
        }

        /// <summary>Wait until it is held; <see cref="Release"/> gives it back.</summary>
        /// <exception cref="AlreadyHeldException">
        /// (an <see cref="InvalidOperationException"/>) This object holds it, or asks for it, already.
        /// </exception>
        public void WaitOne()
        {
            Acquire();
        }

        /// <summary>True when it is held; false when another holder has it.</summary>
        public bool TryWait()
        {
            try
            {
                Acquire(TimeSpan.Zero);
                return true;
            }
            catch (LockTimeoutException)
            {
                return false;
            }
        }

        /// <summary>Release it and wait until the store knows.</summary>
        /// <exception cref="NotHeldException">
        /// (an <see cref="InvalidOperationException"/>) It is not held.
        /// </exception>
        public void Release()
        {
            handle.RequirePresent().Release();
        }

        /// <summary>End the waiting of another thread, which then throws.</summary>
        public void Cancel()
        {
            handle.Cancel();
        }

        /// <summary>Whether this object holds it now.</summary>
        public bool IsHeld
        {
            get { return handle.IsHeldNow; }
        }

        /// <summary>Release what it holds, and cancel what it asks for.</summary>
        public void Dispose()
        {
            handle.Dismiss();
        }
    }
}
