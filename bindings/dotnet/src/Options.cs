using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Threading;

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
            set => Set("ttl", Duration(value));
        }

        /// <summary>How long to wait at most; for ever by default.</summary>
        public TimeSpan Wait
        {
            set
            {
                WaitMs = Milliseconds(value);
                Set("wait", Duration(value));
            }
        }

        /// <summary>Of an acquire that does not say how long.</summary>
        internal long WaitMs { get; private set; } = Handle.WaitAsOption;

        /// <summary>How long the work of a term may take to end; for ever by default.</summary>
        public TimeSpan Drain
        {
            set => Set("drain", Duration(value));
        }

        /// <summary>How others see this holder.</summary>
        public string Identity
        {
            set => Set("identity", value);
        }

        /// <summary>Any option by name, as URLs and the environment have it.</summary>
        public Options Set(string name, string value)
        {
            Settings[name] = value;
            return this;
        }

        /// <summary>A C library's set of options, freed by the caller.</summary>
        internal SWIGTYPE_p_mpsync_options ToC()
        {
            var settings = Native.mpsync_options_new();
            try
            {
                foreach (var setting in Settings)
                    Native.mpsync_options_set(
                        settings, Text.ToC("option", setting.Key), Text.ToC(setting.Key, setting.Value));
                return settings;
            }
            catch
            {
                Native.mpsync_options_free(settings);
                throw;
            }
        }

        /// <summary>As options have it: 1,000 hours at most.</summary>
        private static string Duration(TimeSpan time)
        {
            var ms = Milliseconds(time);
            return ms < 0 || ms > 3600000000 ? "1000h" : ms + "ms";
        }

        /// <summary>Rounded up, so that a short wait is never none; -1: for ever.</summary>
        internal static long Milliseconds(TimeSpan time)
        {
            if (time == Timeout.InfiniteTimeSpan)
                return Handle.WaitForEver;
            if (time < TimeSpan.Zero)
                throw new ArgumentOutOfRangeException(
                    nameof(time), time.ToString("c", CultureInfo.InvariantCulture) + " is a negative time");
            return time.Ticks / TimeSpan.TicksPerMillisecond + (time.Ticks % TimeSpan.TicksPerMillisecond > 0 ? 1 : 0);
        }
    }
}
