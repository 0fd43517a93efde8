using System.Collections.Concurrent;
using DeepRecall.Backends;
using DeepRecall.Sandboxing;
using DeepRecall.Sessions;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DeepRecall.Hosting;

/// <summary>What one registration has in one service provider: the clients and environments of its entries, and its conversations.</summary>
internal sealed class InstanceServices(DeepRecallInstance instance, IServiceProvider services) : IAsyncDisposable, IDisposable
{
    private readonly IOptionsMonitor<DeepRecallServiceOptions> _options = services.GetRequiredService<IOptionsMonitor<DeepRecallServiceOptions>>();
    private readonly ConcurrentDictionary<string, BackendClient> _backends = new(StringComparer.OrdinalIgnoreCase);
    private readonly ConcurrentDictionary<string, EnvironmentSandbox> _environments = new(StringComparer.OrdinalIgnoreCase);
    private readonly Lock _lock = new();
    private DeepRecallServiceOptions? _last;
    private SessionStore? _sessions;
    private string? _toldProblem;

    public DeepRecallInstance Instance => instance;

    /// <summary>The environments that were used.</summary>
    public IEnumerable<EnvironmentSandbox> UsedEnvironments => _environments.Values;

    /// <summary>The options as they are now; while a change of them is not valid, those before it.</summary>
    public DeepRecallServiceOptions Options
    {
        get
        {
            try
            {
                var options = _options.Get(instance.Name);
                lock (_lock)
                {
                    _toldProblem = null;
                    return _last = options;
                }
            }
            catch (OptionsValidationException error) when (_last is not null)
            {
                lock (_lock)
                {
                    if (_toldProblem != error.Message)
                    {
                        _toldProblem = error.Message;
                        HostingLog.ChangeNotValid(services.GetRequiredService<ILogger<DeepRecallChatClient>>(), error.Message);
                    }

                    return _last;
                }
            }
        }
    }

    /// <summary>The client of an entry.</summary>
    public BackendClient GetBackend(string entry) => _backends.GetOrAdd(entry, key => new BackendClient(OptionsOf(key), services));

    /// <summary>The environment of an entry.</summary>
    public EnvironmentSandbox GetEnvironment(string entry) => _environments.GetOrAdd(entry, key =>
    {
        var none = new EnvironmentOptions { Provider = key };
        return new EnvironmentSandbox(key, () => Options.Environments.TryGetValue(key, out var options) ? options : none, services);
    });

    /// <summary>The client that a name stands for: an entry, or what the application registered under it.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public IChatClient ResolveBackend(string name, string option) =>
        Resolve<IChatClient>(name, Options.Backends.ContainsKey(name) ? GetBackend : null)
        ?? throw new InvalidOperationException($"{instance.Path}:{option} is '{name}', which is no entry of {instance.Path}:Backends and no key of a registered IChatClient.");

    /// <summary>The root model's client: the backend that the options name, or the application's own client.</summary>
    /// <exception cref="InvalidOperationException">There is neither.</exception>
    public IChatClient ResolveRoot(DeepRecallServiceOptions options) =>
        options.RootBackend is { } name ? ResolveBackend(name, nameof(options.Backend))
        : services.GetRequiredService<DeepRecallRegistry>().HasApplicationClient() ? services.GetRequiredService<IChatClient>()
        : throw new InvalidOperationException(
            $"{instance.Path}:{nameof(options.Backend)} is not set, {(options.Backends.Count == 0 ? $"there is no entry in {instance.Path}:Backends" : "there are several backends")}, and no IChatClient is registered. Set it to the backend of the root model.");

    /// <summary>The environment that a name stands for: an entry, or what the application registered under it.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public ISandbox ResolveEnvironment(string name) =>
        Resolve<ISandbox>(name, Options.Environments.ContainsKey(name) ? GetEnvironment : null)
        ?? throw new InvalidOperationException($"{instance.Path}:Environment is '{name}', which is no entry of {instance.Path}:Environments, no key of a registered ISandbox, and none of {string.Join(", ", EnvironmentNames.All)}.");

    /// <summary>The conversations, which outlive a change of the options.</summary>
    public ISessionStore GetSessions(DeepRecallOptions options)
    {
        lock (_lock)
        {
            return _sessions ??= new SessionStore(options.MaxSessions, options.SessionIdleTimeout, services.GetService<TimeProvider>(), services.GetService<ILoggerFactory>());
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_sessions is { } sessions)
        {
            await sessions.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var environment in _environments.Values)
        {
            await environment.DisposeAsync().ConfigureAwait(false);
        }

        DisposeBackends();
    }

    public void Dispose()
    {
        _sessions?.Dispose();
        foreach (var environment in _environments.Values)
        {
            environment.Dispose();
        }

        DisposeBackends();
    }

    private void DisposeBackends()
    {
        foreach (var backend in _backends.Values)
        {
            backend.Dispose();
        }
    }

    // The registration's own key first, then one that is shared, then an entry that was not known when services were registered.
    private T? Resolve<T>(string name, Func<string, T>? entry)
        where T : class =>
        services.GetKeyedService<T>(instance.KeyOf(name)) ?? entry?.Invoke(name) ?? services.GetKeyedService<T>(name);

    private Func<BackendOptions> OptionsOf(string key)
    {
        var none = new BackendOptions { Provider = key };
        BackendOptions? given = null;
        var named = none;
        return () =>
        {
            var current = Options.Backends.TryGetValue(key, out var options) ? options : none;
            if (!ReferenceEquals(current, given))
            {
                given = current;
                named = current.Clone();
                named.Name ??= key;
            }

            return named;
        };
    }
}
