using System.Runtime.CompilerServices;
using DeepRecall.Retrieval;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DeepRecall.Hosting;

/// <summary>The client of a registration: a <see cref="DeepRecallChatClient"/>, made when it is first used, and anew when the options change.</summary>
internal sealed class InstanceChatClient(InstanceServices instance, IServiceProvider services) : IChatClient
{
    private readonly RunningRequests _running = services.GetRequiredService<RunningRequests>();
    private readonly Lock _lock = new();
    private Generation? _current;

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        using var request = _running.Begin(cancellationToken);
        using var lease = Current().Lease();
        return await lease.Client.GetResponseAsync(messages, options, request.Token).ConfigureAwait(false);
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var request = _running.Begin(cancellationToken);
        using var lease = Current().Lease();
        await foreach (var update in lease.Client.GetStreamingResponseAsync(messages, options, request.Token).ConfigureAwait(false))
        {
            yield return update;
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is null && serviceType.IsInstanceOfType(this) ? this : Current().Client.GetService(serviceType, serviceKey);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _current?.Retire();
            _current = null;
        }
    }

    private Generation Current()
    {
        var options = instance.Options;
        lock (_lock)
        {
            if (_current is null || !ReferenceEquals(_current.Options, options))
            {
                var next = new Generation(options, Make(options));
                _current?.Retire();
                _current = next;
            }

            return _current;
        }
    }

    private DeepRecallChatClient Make(DeepRecallServiceOptions given)
    {
        var steps = services.GetRequiredService<IOptionsMonitor<PipelineSteps>>().Get(instance.Instance.Name);
        var options = given.Clone();
        options.Sandbox ??= instance.ResolveEnvironment(given.Environment);
        options.SearchSource ??= services.GetService<ISearchSource>();
        if (options.Persistent)
        {
            options.SessionStore ??= instance.GetSessions(options);
        }

        options.SubClients.Clear();
        foreach (var name in given.OtherBackends.Distinct(StringComparer.OrdinalIgnoreCase))
        {
            options.SubClients.Add(new SubClient(name, PipelineSteps.Build(instance.ResolveBackend(name, nameof(given.OtherBackends)), steps.Sub, services)));
        }

        foreach (var client in given.SubClients)
        {
            options.SubClients.Add(client);
        }

        return new DeepRecallChatClient(
            PipelineSteps.Build(instance.ResolveRoot(given), steps.Main, services),
            options,
            services.GetService<ILoggerFactory>(),
            services.GetService<TimeProvider>(),
            services);
    }

    /// <summary>A client and the options that it was made from; it is disposed when it was replaced and the last request on it has ended.</summary>
    private sealed class Generation(DeepRecallServiceOptions options, DeepRecallChatClient client)
    {
        private readonly Lock _lock = new();
        private int _leases;
        private bool _retired;

        public DeepRecallServiceOptions Options => options;

        public DeepRecallChatClient Client => client;

        public GenerationLease Lease()
        {
            lock (_lock)
            {
                _leases++;
            }

            return new GenerationLease(this);
        }

        public void Retire() => Release(leases: 0, retire: true);

        public void Return() => Release(leases: 1, retire: false);

        private void Release(int leases, bool retire)
        {
            bool isUnused;
            lock (_lock)
            {
                _leases -= leases;
                _retired |= retire;
                isUnused = _retired && _leases == 0;
            }

            if (isUnused)
            {
                client.Dispose();
            }
        }
    }

    private sealed class GenerationLease(Generation generation) : IDisposable
    {
        public DeepRecallChatClient Client => generation.Client;

        public void Dispose() => generation.Return();
    }
}
