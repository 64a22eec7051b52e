using System.Diagnostics.CodeAnalysis;

namespace Metaparticle.Sync
{
    /// <summary>Who leads, as others see it.</summary>
    public sealed class Leader
    {
        internal Leader(string holder, string value, ulong token)
        {
            Holder = holder;
            Value = value;
            Token = token;
        }

        /// <summary>The leader's identity.</summary>
        public string Holder { get; }

        /// <summary>What the leader tells its observers, or null.</summary>
        [MaybeNull]
        public string Value { get; }

        /// <summary>The fencing token of its term.</summary>
        public ulong Token { get; }
    }
}
