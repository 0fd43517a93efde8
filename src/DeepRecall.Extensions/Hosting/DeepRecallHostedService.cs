using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DeepRecall.Hosting;

/// <summary>Starts idle processes with the host, and ends everything with it: first the requests, then what is idle.</summary>
internal sealed class DeepRecallHostedService(
    IServiceProvider services,
    DeepRecallRegistry registry,
    RunningRequests running,
    IOptions<HostOptions> host,
    ILogger<DeepRecallChatClient> logger) : IHostedLifecycleService, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private Task _warming = Task.CompletedTask;
    private Task _ending = Task.CompletedTask;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc />
    /// <remarks>The host does not wait for idle processes: a request that comes before them starts its own.</remarks>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _warming = Task.WhenAll(registry.Instances.Select(WarmAsync));
        return Task.CompletedTask;
    }

    /// <inheritdoc />
    /// <remarks>The requests that run have half of the host's time to stop; then they are cancelled, so that they can clean up in the other half.</remarks>
    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        var grace = host.Value.ShutdownTimeout is { } timeout && timeout > TimeSpan.Zero && timeout < TimeSpan.FromHours(1) ? timeout / 2 : TimeSpan.FromSeconds(15);
        _ending = EndAsync(grace, cancellationToken);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        // A server that stops waits for its requests itself, before this; what runs now is nobody's to wait for but ours.
        await _stopping.CancelAsync().ConfigureAwait(false);
        try
        {
            await _ending.WaitAsync(cancellationToken).ConfigureAwait(false);
            await _warming.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            HostingLog.NotEnded(logger, running.Count);
        }

        foreach (var instance in registry.Instances)
        {
            foreach (var environment in ServicesOf(instance).UsedEnvironments)
            {
                await environment.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _stopping.Dispose();

    private async Task WarmAsync(DeepRecallInstance instance)
    {
        var name = "local";
        try
        {
            var all = ServicesOf(instance);
            name = all.Options.Environment;
            if (all.Options.Sandbox is null && all.ResolveEnvironment(name) is EnvironmentSandbox { IsWarmedWithHost: true } environment)
            {
                await environment.WarmAsync(_stopping.Token).ConfigureAwait(false);
            }
        }
        catch (Exception error) when (!_stopping.IsCancellationRequested)
        {
            HostingLog.NotWarmed(logger, name, error);
        }
        catch (Exception)
        {
            // The host stops; nothing is waiting for idle processes.
        }
    }

    private async Task EndAsync(TimeSpan grace, CancellationToken cancellationToken)
    {
        var ended = running.CloseAsync();
        if (!ended.IsCompleted)
        {
            HostingLog.Stopping(logger, running.Count, grace.TotalSeconds);
            using var wait = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(ended, Task.Delay(grace, wait.Token)).ConfigureAwait(false);
            await wait.CancelAsync().ConfigureAwait(false);
        }

        if (!ended.IsCompleted)
        {
            HostingLog.Cancelling(logger, running.Count);
            await running.CancelAsync().ConfigureAwait(false);
            await ended.ConfigureAwait(false);
        }
    }

    private InstanceServices ServicesOf(DeepRecallInstance instance) => services.GetRequiredKeyedService<InstanceServices>(instance.Name);
}
