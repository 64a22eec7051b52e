using System;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>A call under way, for a thread or a task to wait for.</summary>
    internal class Request
    {
        // Continuations never run on the connection's thread.
        private readonly TaskCompletionSource<Event> ended =
            new TaskCompletionSource<Event>(TaskCreationOptions.RunContinuationsAsynchronously);

        internal ulong Number { get; set; }

        internal Task<Event> Ended => ended.Task;

        /// <summary>Called by who reads the event, for what comes before the end.</summary>
        internal Action<Event> Progress { get; set; }

        /// <summary>Likewise, at the end.</summary>
        internal Action Over { get; set; }

        internal void Tell(Event told)
        {
            if (told.GoesOn)
            {
                Progress?.Invoke(told);
                return;
            }
            End(told);
            Over?.Invoke();
            ended.SetResult(told);
        }

        protected virtual void End(Event told)
        {
        }

        /// <summary>Nothing shall be left of it, whatever has become of it.</summary>
        internal virtual void Withdraw()
        {
        }

        internal static void Check(Event told)
        {
            if (told.Failure != null)
                throw told.Failure;
        }
    }

    /// <summary>A request that makes its <see cref="Held"/> where its event is read, before anybody is told.</summary>
    internal sealed class Taking : Request
    {
        private readonly Handle handle;
        private Held held;
        private bool withdrawn;

        internal Taking(Handle handle)
        {
            this.handle = handle;
            Progress = handle.Waits;
        }

        protected override void End(Event told)
        {
            lock (handle)
            {
                if (told.Status == 0 && !withdrawn)
                    held = handle.Begin(told, null);
            }
        }

        internal override void Withdraw()
        {
            lock (handle)
            {
                withdrawn = true;
                held?.Forget();
            }
            SyncException.IfOpen(() => Native.mpsync_election_withdraw(handle.Own, Number));
        }

        internal Held Result(Event told)
        {
            Check(told);
            if (withdrawn)
                throw SyncException.Of(SyncException.Cancelled, "\"" + handle.Name + "\" was disposed meanwhile");
            return held;
        }
    }
}
