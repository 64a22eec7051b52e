namespace Metaparticle.Sync
{
    /// <summary>Told of what becomes of a lock.</summary>
    public interface LockListener
    {
        /// <summary>The lock is held; called by the thread that acquired it.</summary>
        void LockAcquired();

        /// <summary>
        /// The lock was lost: its right ran out or was taken. Called on a thread of this library; and by
        /// <see cref="Lock.Release"/>, as in the first API.
        /// </summary>
        void LockLost();
    }
}
