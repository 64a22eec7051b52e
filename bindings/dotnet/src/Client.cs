using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>The process's connection to one URL, and the thread that hands out its events.</summary>
    internal sealed class Client
    {
        internal const string DefaultBaseUri = "http://localhost:13131";

        private static readonly Dictionary<string, Client> ByUrl = new Dictionary<string, Client>();

        internal readonly SWIGTYPE_p_mpsync_client Handle;
        private readonly SWIGTYPE_p_mpsync_queue queue;
        private readonly ConcurrentDictionary<ulong, Request> requests = new ConcurrentDictionary<ulong, Request>();
        private readonly ConcurrentDictionary<ulong, WeakReference<Handle>> handles =
            new ConcurrentDictionary<ulong, WeakReference<Handle>>();
        private long numbers;

        private Client(byte[] url)
        {
            queue = Native.mpsync_queue_new();
            Handle = Native.mpsync_client_open(url, null, queue);
            var pump = new Thread(Pump) { IsBackground = true, Name = "metaparticle-sync" };
            pump.Start();
            // Releases what is held when the program ends.
            AppDomain.CurrentDomain.ProcessExit += (sender, arguments) => Native.mpsync_client_close(Handle);
        }

        /// <summary>Kept for the life of the process: a program has few URLs.</summary>
        internal static Client Of(string url)
        {
            var key = url == null || url == DefaultBaseUri ? "" : url;
            lock (ByUrl)
            {
                Client client;
                if (!ByUrl.TryGetValue(key, out client))
                {
                    client = new Client(key.Length == 0 ? null : Text.ToC("url", key));
                    ByUrl.Add(key, client);
                }
                return client;
            }
        }

        internal void Register(ulong id, Handle handle)
        {
            handles[id] = new WeakReference<Handle>(handle);
        }

        internal void Unregister(ulong id)
        {
            WeakReference<Handle> gone;
            handles.TryRemove(id, out gone);
        }

        private ulong Number()
        {
            return (ulong)Interlocked.Increment(ref numbers);
        }

        /// <summary>Give the request a number and make the call with it.</summary>
        internal ulong Start(Request request, Action<ulong> call)
        {
            var number = Number();
            requests[number] = request;
            try
            {
                call(number);
                return number;
            }
            catch (SyncException)
            {
                Request failed;
                requests.TryRemove(number, out failed);
                throw;
            }
        }

        /// <summary>Make a call that ends soon.</summary>
        internal Request Ask(Action<ulong> call)
        {
            var request = new Request();
            Start(request, call);
            return request;
        }

        /// <summary>
        /// Make a call, and block in the C library until its end, which saves the hop over the
        /// client's thread; throws what the end stands for.
        /// </summary>
        internal void Await(Request request, Action<ulong> call)
        {
            var number = Number() | Native.MPSYNC_OP_AWAITED;
            call(number);
            while (!request.Ended.IsCompleted)
            {
                var native = Native.mpsync_queue_wait_for(queue, number);
                if (native != null)
                    Deliver(new Event(native), request);
            }
            Request.Check(request.Ended.Result);
        }

        private void Pump()
        {
            for (;;)
            {
                var native = Native.mpsync_queue_wait(queue, -1);
                if (native != null)
                    Dispatch(new Event(native));
            }
        }

        private void Dispatch(Event told)
        {
            if (told.Type == mpsync_event_type.MPSYNC_EVENT_LOST)
            {
                WeakReference<Handle> reference;
                Handle lost;
                if (handles.TryGetValue(told.Lock, out reference) && reference.TryGetTarget(out lost))
                    lost.Lose(told);
                return;
            }
            Request request;
            if (told.GoesOn ? requests.TryGetValue(told.Op, out request) : requests.TryRemove(told.Op, out request))
                Deliver(told, request);
        }

        private static void Deliver(Event told, Request request)
        {
            if (!told.GoesOn)
                request.End(told);
            else if (request.Progress != null)
                request.Progress(told);
        }

        /// <summary>Call a function of the program; what it throws is reported, and the client lives on.</summary>
        internal static void Guard(Action callback)
        {
            try
            {
                callback();
            }
            catch (Exception thrown)
            {
                Trace.TraceError("metaparticle-sync: a callback threw " + thrown);
            }
        }

        /// <summary>The same, on the thread pool.</summary>
        internal static void Report(Action callback)
        {
            Task.Run(() => Guard(callback));
        }
    }
}
