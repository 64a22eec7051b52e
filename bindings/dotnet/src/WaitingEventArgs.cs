using System;
using System.Diagnostics.CodeAnalysis;

namespace Metaparticle.Sync
{
    /// <summary>What a request waits for.</summary>
    public sealed class WaitingEventArgs : EventArgs
    {
        internal WaitingEventArgs(string holder, long position, TimeSpan unchanged)
        {
            Holder = holder;
            Position = position;
            Unchanged = unchanged;
        }

        /// <summary>The identity of who has it, or null where that is not known.</summary>
        [MaybeNull]
        public string Holder { get; }

        /// <summary>1 is next; 0 is not known.</summary>
        public long Position { get; }

        /// <summary>How long the holder's record has been seen unchanged.</summary>
        public TimeSpan Unchanged { get; }
    }
}
