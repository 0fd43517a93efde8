using DeepRecall.Configuration;
using DeepRecall.Sandboxes.Daytona;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxes.E2B;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxes.Modal;
using DeepRecall.Sandboxes.Prime;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Hosting;

/// <summary>An entry of <c>Environments</c> as a service: the environment with its pool, made when it is first used, and anew when its options change.</summary>
internal sealed class EnvironmentSandbox(string key, Func<EnvironmentOptions> options, IServiceProvider services) : ISandbox, IAsyncDisposable, IDisposable
{
    private readonly Lock _lock = new();
    private EnvironmentOptions? _madeFrom;
    private ISandbox? _environment;
    private SandboxPool? _pool;
    private bool _disposed;

    public string Name => Current().Pool.Name;

    public string Description => Current().Pool.Description;

    public int DefaultPoolSize => 0; // it has its pool

    /// <summary>Whether idle processes are asked for, so that they are started with the host.</summary>
    public bool IsWarmedWithHost => options().Pool.Size > 0;

    /// <summary>Makes an environment of its options.</summary>
    /// <exception cref="ArgumentException">An option is not usable, or there is no such environment.</exception>
    public static ISandbox Create(string key, EnvironmentOptions options, IServiceProvider services)
    {
        var loggers = services.GetService<ILoggerFactory>();
        var time = services.GetService<TimeProvider>();
        return SectionBinder.ProviderOf(key, options) switch
        {
            EnvironmentNames.Local => new LocalSandbox(options.Local),
            EnvironmentNames.Docker => new DockerSandbox(options.Docker, loggers?.CreateLogger<DockerSandbox>()),
            EnvironmentNames.Modal => new ModalSandbox(options.Modal, loggers: loggers, time: time),
            EnvironmentNames.E2B => new E2BSandbox(options.E2B, loggers: loggers, time: time),
            EnvironmentNames.Daytona => new DaytonaSandbox(options.Daytona, loggers: loggers, time: time),
            EnvironmentNames.Prime => new PrimeSandbox(options.Prime, loggers: loggers, time: time),
            var provider => throw new ArgumentException($"{nameof(EnvironmentOptions)}.{nameof(EnvironmentOptions.Provider)} is '{provider}'; it must be one of {string.Join(", ", EnvironmentNames.All)}.", nameof(options)),
        };
    }

    public Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken) => Current().Pool.StartAsync(request, cancellationToken);

    public async Task<SandboxIsolation?> GetIsolationAsync(CancellationToken cancellationToken)
    {
        var (environment, pool) = Current();
        if (environment is DockerSandbox docker)
        {
            // What hosts that died have left behind goes with the check.
            await docker.CheckHealthAsync(cancellationToken).ConfigureAwait(false);
        }

        return await pool.GetIsolationAsync(cancellationToken).ConfigureAwait(false);
    }

    public Task WarmAsync(CancellationToken cancellationToken) => Current().Pool.WarmAsync(cancellationToken);

    /// <summary>Ends the idle processes; from here on there are none.</summary>
    public async ValueTask DisposeAsync()
    {
        SandboxPool? pool;
        lock (_lock)
        {
            _disposed = true;
            pool = _pool;
        }

        if (pool is not null)
        {
            await pool.DisposeAsync().ConfigureAwait(false);
        }
    }

    // A container that is disposed synchronously cannot wait for the processes to end; they end all the same.
    public void Dispose() => _ = DisposeAsync().AsTask();

    private (ISandbox Environment, SandboxPool Pool) Current()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            var current = options();
            if (_pool is null || !ReferenceEquals(current, _madeFrom))
            {
                var environment = Create(key, current, services);
                var old = _pool;
                _pool = new SandboxPool(environment, current.Pool, services.GetService<TimeProvider>(), services.GetService<ILogger<SandboxPool>>());
                _environment = environment;
                _madeFrom = current;
                _ = old?.DisposeAsync().AsTask(); // its idle processes; those in use belong to their requests
            }

            return (_environment!, _pool);
        }
    }
}
