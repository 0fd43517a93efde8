using System.Runtime.CompilerServices;
using DeepRecall.Backends;
using Microsoft.Extensions.AI;

namespace DeepRecall.Hosting;

/// <summary>An entry of <c>Backends</c> as a service: its client is made when it is first used, and anew when its options change.</summary>
internal sealed class BackendClient(Func<BackendOptions> options, IServiceProvider services) : IChatClient
{
    private readonly Lock _lock = new();
    private BackendOptions? _madeFrom;
    private IChatClient? _client;

    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        Current().GetResponseAsync(messages, options, cancellationToken);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var update in Current().GetStreamingResponseAsync(messages, options, cancellationToken).ConfigureAwait(false))
        {
            yield return update;
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is null && serviceType.IsInstanceOfType(this) ? this : Current().GetService(serviceType, serviceKey);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _client?.Dispose();
        }
    }

    private IChatClient Current()
    {
        lock (_lock)
        {
            var current = options();
            if (_client is null || !ReferenceEquals(current, _madeFrom))
            {
                // A client that is replaced is not disposed: requests may still be on their way through it, and it holds nothing but memory.
                _client = Backend.CreateChatClient(current, services);
                _madeFrom = current;
            }

            return _client;
        }
    }
}
