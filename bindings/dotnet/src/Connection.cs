using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// A client of the C library, and the thread that reads its events. It lives as long as it has users: that thread
    /// keeps it, what it holds and what it is asked for, referenced by the program or not.
    /// </summary>
    internal sealed class Connection
    {
        internal const string DefaultBaseUri = "http://localhost:13131";

        private static readonly Dictionary<string, Connection> ByUrl = new Dictionary<string, Connection>();

        private readonly string key; // null: nobody else gets it by its URL
        private readonly SWIGTYPE_p_mpsync_client client;
        private readonly SWIGTYPE_p_mpsync_queue queue;
        private readonly ConcurrentDictionary<ulong, Request> requests = new ConcurrentDictionary<ulong, Request>();
        private readonly ConcurrentDictionary<ulong, Held> grants = new ConcurrentDictionary<ulong, Held>();
        private readonly Teller log = new Teller();
        private readonly object mutex = new object();
        private readonly TaskCompletionSource<bool> closed =
            new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        private int users;
        private bool closing;
        private bool ended;
        private long numbers;

        internal Connection(string key, Options options)
        {
            this.key = key;
            queue = Native.mpsync_queue_new();
            var settings = options.ToC();
            try
            {
                var url = options.Url == null || key == "" ? null : Text.ToC("url", options.Url);
                client = Native.mpsync_client_open(url, settings, queue);
            }
            catch
            {
                Native.mpsync_queue_free(queue);
                throw;
            }
            finally
            {
                Native.mpsync_options_free(settings);
            }
            new Thread(Pump) { IsBackground = true, Name = "metaparticle-sync" }.Start();
        }

        /// <summary>The one of this URL, which gets a user more.</summary>
        internal static Connection Of(string url)
        {
            var key = url == null || url == DefaultBaseUri ? "" : url;
            lock (ByUrl)
            {
                if (!ByUrl.TryGetValue(key, out var found))
                {
                    found = new Connection(key, new Options { Url = url });
                    ByUrl.Add(key, found);
                }
                found.users++;
                return found;
            }
        }

        internal Connection Enter()
        {
            lock (ByUrl)
                users++;
            return this;
        }

        /// <summary>The last user's leaving closes it, and waits for nothing.</summary>
        internal void Leave()
        {
            lock (ByUrl)
            {
                if (--users > 0)
                    return;
                if (key != null && ByUrl.TryGetValue(key, out var present) && present == this)
                    ByUrl.Remove(key);
            }
            CloseStart();
        }

        /// <summary>What is held is released; the task ends when nothing is left.</summary>
        internal Task CloseStart()
        {
            lock (mutex)
            {
                if (closing)
                    return closed.Task;
                closing = true;
            }
            try
            {
                Start(new Request { Over = () => ended = true }, number => Native.mpsync_client_close_start(client, number));
            }
            catch (SyncException)
            {
                ended = true; // the end of the process has closed it
                Native.mpsync_queue_wakeup(queue);
            }
            return closed.Task;
        }

        /// <summary>Call with the client, which is not closed meanwhile.</summary>
        internal void With(Action<SWIGTYPE_p_mpsync_client> call)
        {
            lock (mutex)
            {
                if (closing)
                    throw SyncException.Of(SyncException.Closed, "the client is closed");
                call(client);
            }
        }

        internal ulong Number() => (ulong)Interlocked.Increment(ref numbers);

        /// <summary>Make the call with the request's number.</summary>
        internal void Start(Request request, Action<ulong> call)
        {
            if (request.Number == 0)
                request.Number = Number();
            requests[request.Number] = request;
            try
            {
                call(request.Number);
            }
            catch
            {
                requests.TryRemove(request.Number, out _);
                throw;
            }
        }

        /// <summary>As <see cref="Start"/>; the caller's thread will <see cref="Await"/> its end.</summary>
        internal void StartAwaited(Request request, Action<ulong> call)
        {
            request.Number = Number() | Native.MPSYNC_OP_AWAITED;
            call(request.Number);
        }

        /// <summary>Block in the C library, which saves the hop over another thread.</summary>
        internal Event Await(Request request)
        {
            while (!request.Ended.IsCompleted)
            {
                var native = Native.mpsync_queue_wait_for(queue, request.Number);
                if (native != null)
                    request.Tell(new Event(native));
            }
            return request.Ended.Result;
        }

        /// <summary>From now on the grant lives until it ends, or this is closed.</summary>
        internal void Keep(ulong grant, Held held) => grants[grant] = held;

        internal void Drop(ulong grant) => grants.TryRemove(grant, out _);

        private void Pump()
        {
            while (!ended)
            {
                var native = Native.mpsync_queue_wait(queue, -1);
                if (native != null)
                    Dispatch(new Event(native));
            }
            Native.mpsync_client_close(client);
            Native.mpsync_queue_free(queue);
            closed.SetResult(true);
        }

        private void Dispatch(Event told)
        {
            if (told.Type == mpsync_event_type.MPSYNC_EVENT_LOG)
                log.Tell(() => Teller.Warn(told.Message));
            else if (told.Op == 0 && grants.TryGetValue(told.Grant, out var held))
                held.EndUnasked(told.Reason);
            else if (told.GoesOn ? requests.TryGetValue(told.Op, out var request) : requests.TryRemove(told.Op, out request))
                request.Tell(told);
        }
    }
}
