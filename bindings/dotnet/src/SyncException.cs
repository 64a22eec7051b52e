using System;

namespace Metaparticle.Sync
{
    /// <summary>
    /// Base of what this library throws, but for arguments that break the contract, which are
    /// <see cref="ArgumentException"/>s.
    /// </summary>
    public class SyncException : InvalidOperationException
    {
        internal const int Invalid = -1;
        internal const int Held = -2;
        internal const int Lost = -3;
        internal const int Unreachable = -4;
        internal const int Timeout = -5;
        internal const int Cancelled = -6;
        internal const int NotHeld = -7;
        internal const int AlreadyHeld = -8;
        internal const int Closed = -12;

        internal SyncException(int status, string message)
            : base(message)
        {
            Status = status;
        }

        /// <summary>The C library's number, for example -4 for a store that does not answer.</summary>
        public int Status { get; }

        internal static Exception Of(int status, string message)
        {
            switch (status)
            {
                case Invalid:
                    return new ArgumentException(message);
                case Held:
                case Timeout:
                    return new LockTimeoutException(status, message);
                case Lost:
                    return new LockLostException(message);
                case NotHeld:
                    return new NotHeldException(message);
                case AlreadyHeld:
                    return new AlreadyHeldException(message);
                case Unreachable:
                case -9:
                case -10:
                case -15:
                    return new StoreException(status, message);
                default:
                    return new SyncException(status, message);
            }
        }

        /// <summary>Of what has ended, or is closed, nothing is left to ask.</summary>
        internal static void IfOpen(Action call)
        {
            try
            {
                call();
            }
            catch (SyncException over) when (over.Status == Closed || over.Status == NotHeld)
            {
                return;
            }
        }
    }

    /// <summary>The wait ended without the lock; the message names the holder.</summary>
    public sealed class LockTimeoutException : SyncException
    {
        internal LockTimeoutException(int status, string message) : base(status, message) { }
    }

    /// <summary>The right ran out or was taken while the work went on.</summary>
    public sealed class LockLostException : SyncException
    {
        internal LockLostException(string message) : base(Lost, message) { }
    }

    /// <summary>Nothing is held that could be released.</summary>
    public sealed class NotHeldException : SyncException
    {
        internal NotHeldException(string message) : base(NotHeld, message) { }
    }

    /// <summary>This object holds the lock, or asks for it, already.</summary>
    public sealed class AlreadyHeldException : SyncException
    {
        internal AlreadyHeldException(string message) : base(AlreadyHeld, message) { }
    }

    /// <summary>The store did not answer, refused, or holds what this library does not write.</summary>
    public sealed class StoreException : SyncException
    {
        internal StoreException(int status, string message) : base(status, message) { }
    }
}
