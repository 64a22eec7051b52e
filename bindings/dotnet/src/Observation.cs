using System;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>Tells each change, in order, on the thread pool, until it is disposed.</summary>
    internal sealed class Observation : IDisposable
    {
        private readonly Client client;
        private readonly ulong number;
        private readonly Action<Leader> told;
        private readonly object mutex = new object();
        private Task tail = Task.FromResult(true);

        internal Observation(Handle handle, Action<Leader> told)
        {
            if (told == null)
                throw new InvalidArgumentException("told: null is given");
            client = handle.Client;
            this.told = told;
            var name = Text.ToC("name", handle.Name);
            number = client.Start(
                new Request { Progress = Tell },
                op => Native.mpsync_client_observe_start(client.Handle, op, name));
        }

        private void Tell(Event change)
        {
            if (change.Type != mpsync_event_type.MPSYNC_EVENT_LEADER)
                return;
            var leader = change.Holder == null ? null : new Leader(change.Holder, change.Value, change.Token);
            lock (mutex)
                tail = tail.ContinueWith(
                    before => Client.Guard(() => told(leader)), TaskScheduler.Default);
        }

        public void Dispose()
        {
            Native.mpsync_client_observe_stop(client.Handle, number);
        }
    }
}
