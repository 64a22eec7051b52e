using System;
using System.Runtime.ExceptionServices;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// A run of the C library, which stands, leads, and stands again. Its terms come here one after the other: each
    /// when the work of the former one has ended.
    /// </summary>
    internal sealed class Run : Request
    {
        private readonly Handle handle;
        private readonly SemaphoreSlim arrived = new SemaphoreSlim(0);
        private Held term;
        private Held next;
        private ExceptionDispatchInfo interrupt;
        private int started;

        internal Run(Handle handle)
        {
            this.handle = handle;
            Number = handle.Connection.Number(); // known before it begins, for it may be stopped before
            Progress = Take;
        }

        internal bool IsStarted => Volatile.Read(ref started) == 1;

        internal Run Start(byte[] value, long waitMs)
        {
            if (Interlocked.Exchange(ref started, 1) == 1)
                throw new AlreadyHeldException("the election \"" + handle.Name + "\" is running already");
            handle.Connection.Enter();
            try
            {
                handle.Ask(this, () => handle.Connection.Start(
                    this, number => Native.mpsync_election_run_start(handle.Own, number, value, waitMs)));
                return this;
            }
            catch
            {
                handle.Connection.Leave();
                Interlocked.Exchange(ref started, 0);
                throw;
            }
        }

        /// <summary>What comes before the end, where it is read.</summary>
        private void Take(Event told)
        {
            if (told.Type == mpsync_event_type.MPSYNC_EVENT_TERM)
            {
                term = handle.Begin(told, this);
                Interlocked.Exchange(ref next, term);
                arrived.Release();
            }
            else if (told.Type == mpsync_event_type.MPSYNC_EVENT_ENDING)
            {
                term.End(told);
            }
            else
            {
                handle.Waits(told);
            }
        }

        protected override void End(Event told)
        {
            handle.Connection.Leave();
            arrived.Release();
        }

        /// <summary>The next term; null when the run has ended as it was asked to.</summary>
        internal async Task<Held> NextTermAsync()
        {
            await arrived.WaitAsync().ConfigureAwait(false);
            return Next();
        }

        /// <summary>The same for a thread, which an interrupt does not end before its run.</summary>
        internal Held NextTerm()
        {
            Wait(arrived);
            var taken = Next();
            if (taken == null)
                interrupt?.Throw();
            return taken;
        }

        private Held Next()
        {
            var taken = Interlocked.Exchange(ref next, null);
            if (taken == null)
                Check(Ended.Result);
            return taken;
        }

        /// <summary>Whether the program's function came to its end, or was interrupted, which stops the run.</summary>
        internal bool Guard(Action callback)
        {
            return Teller.Guard(() =>
            {
                try
                {
                    callback();
                }
                catch (ThreadInterruptedException thrown)
                {
                    Interrupted(thrown);
                }
            });
        }

        internal void Wait(SemaphoreSlim signal)
        {
            for (;;)
            {
                try
                {
                    signal.Wait();
                    return;
                }
                catch (ThreadInterruptedException thrown)
                {
                    Interrupted(thrown);
                }
            }
        }

        private void Interrupted(ThreadInterruptedException thrown)
        {
            interrupt = ExceptionDispatchInfo.Capture(thrown);
            Stop();
        }

        internal void Stop()
        {
            SyncException.IfOpen(() => Native.mpsync_election_run_stop(handle.Own, Number));
        }

        internal override void Withdraw()
        {
            Stop();
        }

        internal void TermDone(ulong grant, bool failed)
        {
            SyncException.IfOpen(() => Native.mpsync_election_term_done(handle.Own, grant, failed ? 1 : 0));
        }
    }
}
