using System;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Tasks;

namespace Metaparticle.Sync
{
    /// <summary>
    /// A connection to one store of the program's own, for locks that shall end together. Locks that are made without one
    /// share one for each URL, which closes when the last of them is disposed or collected.
    /// </summary>
    public sealed class Client : IDisposable
#if NETCOREAPP || NETSTANDARD2_1
        , IAsyncDisposable
#endif
    {
        private readonly Connection connection;

        /// <summary>A client of this URL.</summary>
        public Client([AllowNull] string url) : this(new Options { Url = url })
        {
        }

        /// <summary>A client with the defaults of its locks.</summary>
        public Client(Options options)
        {
            if (options == null)
                throw new ArgumentNullException(nameof(options));
            connection = new Connection(null, options).Enter();
        }

        /// <summary>Closes when its last lock has gone.</summary>
        ~Client()
        {
            if (connection != null && !Environment.HasShutdownStarted)
                connection.Leave();
        }

        internal static Connection Of(Options options)
        {
            if (options == null)
                throw new ArgumentNullException(nameof(options));
            return Connection.Of(options.Url);
        }

        internal static Connection Of(Client client, Options options)
        {
            if (client == null)
                throw new ArgumentNullException(nameof(client));
            if (options?.Url != null)
                throw new ArgumentException("the client has a URL, so the options have none", nameof(options));
            return client.connection.Enter();
        }

        /// <summary>
        /// Release all that its locks hold, and wait for that, no longer than the rights last, but not for work: stop
        /// elections first. Nothing is left of it then.
        /// </summary>
        public void Dispose() => connection.CloseStart().Wait();

#if NETCOREAPP || NETSTANDARD2_1
        /// <summary>As <see cref="Dispose"/>, without blocking.</summary>
        public async ValueTask DisposeAsync() => await connection.CloseStart().ConfigureAwait(false);
#endif
    }
}
