using System.Collections.Concurrent;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Contract;

/// <summary>Remembers which messages a backend was given, so that a test can say what of them must be on the wire.</summary>
internal sealed class RecordingChatClient(IChatClient innerClient) : DelegatingChatClient(innerClient)
{
    private readonly ConcurrentQueue<IReadOnlyList<ChatMessage>> _calls = new();

    public IReadOnlyList<IReadOnlyList<ChatMessage>> Calls => [.. _calls];

    public override Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        IReadOnlyList<ChatMessage> all = [.. messages];
        _calls.Enqueue(all);
        return base.GetResponseAsync(all, options, cancellationToken);
    }

    public override IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        IReadOnlyList<ChatMessage> all = [.. messages];
        _calls.Enqueue(all);
        return base.GetStreamingResponseAsync(all, options, cancellationToken);
    }
}
