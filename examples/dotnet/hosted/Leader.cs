using System;
using System.Threading;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

/// <summary>
/// Of all copies of this service one works. When the host stops, the work is told, and the next copy begins when it has
/// ended: the host waits for ExecuteAsync, no longer than HostOptions.ShutdownTimeout.
/// </summary>
internal sealed class Leader : BackgroundService
{
    private readonly Election election = new Election("example", new Options());
    private readonly ILogger<Leader> log;

    public Leader(ILogger<Leader> log)
    {
        this.log = log;
        election.Waiting += (sender, waits) => log.LogInformation("{Holder} leads", waits.Holder);
    }

    protected override Task ExecuteAsync(CancellationToken stopping) =>
        election.LeadAsync(Work, Environment.MachineName, stopping);

    private async Task Work(Held term)
    {
        log.LogInformation("leading, token {Token}", term.Token);
        while (!term.Ending.IsCancellationRequested)
            await Task.Delay(TimeSpan.FromSeconds(1), term.Ending);
    }

    public override void Dispose()
    {
        election.Dispose();
        base.Dispose();
    }

    private static void Main(string[] arguments)
    {
        Host.CreateDefaultBuilder(arguments)
            .ConfigureServices(services => services.AddHostedService<Leader>())
            .Build()
            .Run();
    }
}
