using System;

namespace Metaparticle.Sync
{
    /// <summary>Tells who leads, and each change, on the connection's thread, until it is disposed.</summary>
    internal sealed class Observation : IDisposable
    {
        private readonly Connection connection;
        private readonly Request request;

        internal Observation(Handle handle, Action<Leader> told, Action over)
        {
            connection = handle.Connection;
            var name = Text.ToC("name", handle.Name);
            request = new Request
            {
                Progress = change => told(
                    change.Holder == null ? null : new Leader(change.Holder, change.Value, change.Token)),
                Over = () =>
                {
                    connection.Leave();
                    over();
                }
            };
            connection.Enter();
            try
            {
                connection.With(client =>
                    connection.Start(request, number => Native.mpsync_client_observe_start(client, number, name)));
            }
            catch
            {
                connection.Leave();
                throw;
            }
        }

        public void Dispose() => SyncException.IfOpen(
            () => connection.With(client => Native.mpsync_client_observe_stop(client, request.Number)));
    }
}
