using System;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>A call under way, for a thread or a task to wait for.</summary>
    internal class Request
    {
        // Continuations never run on the client's thread.
        private readonly TaskCompletionSource<Event> ended =
            new TaskCompletionSource<Event>(TaskCreationOptions.RunContinuationsAsynchronously);

        internal Task<Event> Ended
        {
            get { return ended.Task; }
        }

        /// <summary>Called by who reads the event, for what comes before the end.</summary>
        internal Action<Event> Progress { get; set; }

        /// <summary>Called by who reads the event, once.</summary>
        internal virtual void End(Event told)
        {
            ended.SetResult(told);
        }

        internal static void Check(Event told)
        {
            var failure = told.Failure;
            if (failure != null)
                throw failure;
        }
    }
}
