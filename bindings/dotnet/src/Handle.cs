using System;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>What a lock and an election are: a handle of the C library with its present grant.</summary>
    internal sealed class Handle
    {
        internal const long WaitAsOption = -2;
        internal const long WaitForEver = -1;

        internal readonly Connection Connection;
        internal readonly string Name;
        internal readonly long WaitMs;
        internal readonly SWIGTYPE_p_mpsync_election Own; // or a lock: see mpsync_handle_new
        internal readonly Teller Teller = new Teller();
        private volatile Held present;
        private Request latest; // what asks for the name, or asked last
        private bool disposed;

        /// <summary>On the connection, with a user more, that the caller gives.</summary>
        internal Handle(string name, Connection connection, Options options, bool isElection)
        {
            Name = name;
            WaitMs = options.WaitMs;
            SWIGTYPE_p_mpsync_options settings = null;
            try
            {
                var text = Text.ToC("name", name);
                settings = options.ToC();
                SWIGTYPE_p_mpsync_election made = null;
                connection.With(
                    client => made = Native.mpsync_handle_new(client, text, settings, isElection ? 1 : 0));
                Own = made;
                Connection = connection;
            }
            finally
            {
                Native.mpsync_options_free(settings);
                if (Connection == null)
                    connection.Leave();
            }
        }

        ~Handle()
        {
            if (Connection != null && !disposed && !Environment.HasShutdownStarted)
                Connection.Leave();
        }

        /// <summary>Called where a loss is read, or that a request waits.</summary>
        internal Action OnLost { get; set; }
        internal Action<WaitingEventArgs> OnWaiting { get; set; }

        internal void Waits(Event told) =>
            OnWaiting(new WaitingEventArgs(told.Holder, told.Position, told.Unchanged));

        /// <summary>Make a grant's <see cref="Held"/>.</summary>
        internal Held Begin(Event told, Run run)
        {
            var held = new Held(this, run, told.Grant, told.Token);
            present = held;
            if (run == null)
            {
                Connection.Keep(told.Grant, held);
                held.LookForLoss(); // LOST may have been read before
            }
            return held;
        }

        internal void End(Held held)
        {
            if (present == held)
                present = null;
        }

        /// <summary>Start what asks for the name, unless this is disposed.</summary>
        internal void Ask(Request request, Action start)
        {
            lock (this)
            {
                if (disposed)
                    throw Closed();
                start();
                latest = request;
            }
        }

        internal Exception Closed() =>
            SyncException.Of(SyncException.Closed, "\"" + Name + "\" is disposed, or its client");

        internal void Cancel() => SyncException.IfOpen(() => Native.mpsync_election_cancel(Own));

        private Action<ulong> Taken(byte[] value, long waitMs) =>
            number => Native.mpsync_election_campaign_start(Own, number, value, waitMs);

        internal Held Take(byte[] value, long waitMs)
        {
            var request = new Taking(this);
            Ask(request, () => Connection.StartAwaited(request, Taken(value, waitMs)));
            return request.Result(Connection.Await(request));
        }

        /// <summary>Cancelling withdraws this very request.</summary>
        internal async Task<Held> TakeAsync(byte[] value, long waitMs, CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            var request = new Taking(this);
            Ask(request, () => Connection.Start(request, Taken(value, waitMs)));
            Event told;
            using (cancellation.Register(request.Withdraw))
                told = await request.Ended.ConfigureAwait(false);
            if (cancellation.IsCancellationRequested)
            {
                request.Withdraw();
                cancellation.ThrowIfCancellationRequested();
            }
            return request.Result(told);
        }

        /// <summary>The present grant, or null.</summary>
        internal Held Present => present;

        internal bool IsHeldNow => present?.IsHeld ?? false;

        /// <summary>The present grant, or the exception of the first API.</summary>
        internal Held RequirePresent() =>
            present ?? throw new NotHeldException("\"" + Name + "\" is not held");

        /// <summary>Releases what it holds, takes back what it asks for, and leaves the connection.</summary>
        internal void Dispose()
        {
            Request asked;
            lock (this)
            {
                if (disposed)
                    return;
                disposed = true;
                asked = latest;
            }
            var held = present;
            if (held != null && !held.IsTerm)
                held.Dispose();
            else
                asked?.Withdraw();
            Connection.Leave();
        }
    }
}
