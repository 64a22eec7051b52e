using System;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>A native lock or election with its present grant; freed when nobody has it any more.</summary>
    internal sealed class Handle
    {
        internal const long WaitAsOption = -2;
        internal const long WaitForEver = -1;

        internal readonly Client Client;
        internal readonly string Name;
        private readonly SWIGTYPE_p_mpsync_lock nativeLock;
        private readonly SWIGTYPE_p_mpsync_election election;
        private readonly ulong id;
        private readonly object mutex = new object();
        private Held present;
        private Held latest; // present, or being released: it may be lost yet

        internal Handle(string name, bool isElection, Options options)
        {
            Name = name;
            var text = Text.ToC("name", name);
            if (options == null)
                throw new InvalidArgumentException("options: null is given");
            Client = Client.Of(options.Url);
            var settings = Native.mpsync_options_new();
            try
            {
                foreach (var setting in options.Settings)
                    Native.mpsync_options_set(
                        settings, Text.ToC("option", setting.Key), Text.ToC(setting.Key, setting.Value));
                if (isElection)
                    election = Native.mpsync_election_new(Client.Handle, text, settings);
                else
                    nativeLock = Native.mpsync_lock_new(Client.Handle, text, settings);
            }
            finally
            {
                Native.mpsync_options_free(settings);
            }
            id = isElection ? Native.mpsync_election_id(election) : Native.mpsync_lock_id(nativeLock);
            Client.Register(id, this);
        }

        ~Handle()
        {
            if (Client != null)
                Client.Unregister(id);
            if (nativeLock != null)
                Native.mpsync_lock_free(nativeLock);
            if (election != null)
                Native.mpsync_election_free(election);
        }

        /// <summary>Told of a loss by the client's thread.</summary>
        internal Action<LockLostException> OnLost { get; set; }

        /// <summary>A request that makes its Held where its event is read, before anybody is told.</summary>
        private sealed class Taking : Request
        {
            private readonly Handle handle;

            internal Taking(Handle handle)
            {
                this.handle = handle;
            }

            internal Held Held { get; private set; }

            internal override void End(Event told)
            {
                if (told.Status == 0)
                    Held = handle.Begin(told);
                base.End(told);
            }
        }

        private Held Begin(Event told)
        {
            var held = new Held(this, told.Grant, told.Token);
            lock (mutex)
            {
                present = held;
                latest = held;
            }
            held.LookForLoss(); // LOST may have been read before
            return held;
        }

        private Action<ulong> Asking(string value, long waitMs)
        {
            var text = value == null ? null : Text.ToC("value", value);
            return number =>
            {
                if (election == null)
                    Native.mpsync_lock_acquire_start(nativeLock, number, waitMs);
                else
                    Native.mpsync_election_campaign_start(election, number, text, waitMs);
            };
        }

        internal Held Take(string value, long waitMs)
        {
            var request = new Taking(this);
            Client.Await(request, Asking(value, waitMs));
            return request.Held;
        }

        /// <summary>Cancelling withdraws the request.</summary>
        internal async Task<Held> TakeAsync(string value, long waitMs, CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            var request = new Taking(this);
            Client.Start(request, Asking(value, waitMs));
            using (cancellation.Register(Cancel))
            {
                var told = await request.Ended.ConfigureAwait(false);
                if (cancellation.IsCancellationRequested)
                {
                    if (request.Held != null)
                        request.Held.LetGo();
                    cancellation.ThrowIfCancellationRequested();
                }
                Request.Check(told);
            }
            return request.Held;
        }

        internal void Cancel()
        {
            if (election == null)
                Native.mpsync_lock_cancel(nativeLock);
            else
                Native.mpsync_election_cancel(election);
            GC.KeepAlive(this);
        }

        internal void ReleaseStart(ulong number, ulong grant)
        {
            if (election == null)
                Native.mpsync_lock_release_start(nativeLock, number, grant);
            else
                Native.mpsync_election_resign_start(election, number, grant);
            GC.KeepAlive(this);
        }

        internal void SetValue(string value)
        {
            var text = Text.ToC("value", value);
            Client.Await(
                new Request(),
                number => Native.mpsync_election_set_value_start(election, number, text));
            GC.KeepAlive(this);
        }

        internal bool IsHeld(ulong grant)
        {
            var held = election == null
                ? Native.mpsync_lock_is_held(nativeLock, grant)
                : Native.mpsync_election_is_leader(election, grant);
            GC.KeepAlive(this);
            return held != 0;
        }

        internal TimeSpan Remaining(ulong grant)
        {
            var ms = election == null
                ? Native.mpsync_lock_remaining_ms(nativeLock, grant)
                : Native.mpsync_election_remaining_ms(election, grant);
            GC.KeepAlive(this);
            return TimeSpan.FromMilliseconds(ms);
        }

        /// <summary>The present grant, or null.</summary>
        internal Held Present
        {
            get
            {
                lock (mutex)
                    return present;
            }
        }

        internal bool IsHeldNow
        {
            get
            {
                var held = Present;
                return held != null && held.IsHeld;
            }
        }

        /// <summary>The present grant, or the exception of the first API.</summary>
        internal Held RequirePresent()
        {
            var held = Present;
            if (held == null)
                throw new NotHeldException("\"" + Name + "\" is not held");
            return held;
        }

        /// <summary>Releases what it holds, cancels what it asks for.</summary>
        internal void Dismiss()
        {
            var held = Present;
            if (held != null)
                held.Dispose();
            else
                Cancel();
        }

        internal void Forget(Held held)
        {
            lock (mutex)
            {
                if (present == held)
                    present = null;
            }
        }

        /// <summary>Called by the client's thread: a grant has ended unasked.</summary>
        internal void Lose(Event told)
        {
            Held held;
            lock (mutex)
                held = latest;
            if (held != null && held.IsOf(told))
                TellLost(held, told.Reason);
        }

        internal void TellLost(Held held, int why)
        {
            Forget(held);
            var reason = Text.Of(Native.mpsync_reason_text(why));
            var lost = new LockLostException("\"" + Name + "\" was lost (" + reason + ")");
            if (held.Lose(lost) && OnLost != null)
                OnLost(lost);
        }

        internal int LostReason(ulong grant)
        {
            var reason = election == null
                ? Native.mpsync_lock_lost_reason(nativeLock, grant)
                : Native.mpsync_election_lost_reason(election, grant);
            GC.KeepAlive(this);
            return reason;
        }
    }
}
