using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Metaparticle.Sync
{
    /// <summary>Where the locks live, and how they are held. Not safe for concurrent changes.</summary>
    public sealed class Options
    {
        internal readonly Dictionary<string, string> Settings = new Dictionary<string, string>();

        /// <summary>
        /// Where the locks live: <c>file:locks.db</c>, <c>http://…</c>, <c>kubernetes:</c>, <c>etcd://…</c>,
        /// <c>memory:</c>. Null: the environment's MPSYNC_URL, else the elector next to this program.
        /// </summary>
        [AllowNull, MaybeNull]
        public string Url { get; set; }

        /// <summary>How long a right lasts without renewal.</summary>
        public TimeSpan Ttl
        {
            set { Set("ttl", Milliseconds(value) + "ms"); }
        }

        /// <summary>How long to wait at most; for ever by default.</summary>
        public TimeSpan Wait
        {
            set { Set("wait", Milliseconds(value) + "ms"); }
        }

        /// <summary>How others see this holder.</summary>
        public string Identity
        {
            set { Set("identity", value); }
        }

        /// <summary>Any option by name, as URLs and the environment have it.</summary>
        public Options Set(string name, string value)
        {
            Settings[name] = value;
            return this;
        }

        /// <summary>Rounded up, so that a short wait is never none.</summary>
        internal static long Milliseconds(TimeSpan time)
        {
            if (time < TimeSpan.Zero)
                throw new InvalidArgumentException(
                    time.ToString("c", CultureInfo.InvariantCulture) + " is a negative time");
            return (time.Ticks + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond;
        }
    }
}
