using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace DeepRecall.Testing;

/// <summary>A model that follows a script, and records what it was sent. Thread-safe.</summary>
/// <remarks>A script of replies is followed by each conversation on its own: the reply is chosen by how many the conversation already holds.</remarks>
public sealed class ScriptedChatClient : IChatClient
{
    private readonly Func<ScriptedRequest, CancellationToken, Task<ChatResponse>> _reply;
    private readonly ConcurrentQueue<ScriptedRequest> _requests = new();
    private int _inFlight;
    private int _maxInFlight;

    /// <summary>Makes a model that gives these replies, one a turn; a conversation that asks for more fails.</summary>
    public ScriptedChatClient(params string[] replies)
        : this(request =>
        {
            var turn = request.Messages.Count(message => message.Role == ChatRole.Assistant);
            return turn < replies.Length
                ? replies[turn]
                : throw new InvalidOperationException($"The script has {replies.Length} replies; reply {turn + 1} was asked for.");
        })
    {
    }

    /// <summary>Makes a model whose reply is a function of what it is sent.</summary>
    public ScriptedChatClient(Func<ScriptedRequest, string> reply)
        : this((request, _) => Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, reply(request)))))
    {
    }

    /// <summary>Makes a model in full control of its response.</summary>
    public ScriptedChatClient(Func<ScriptedRequest, CancellationToken, Task<ChatResponse>> reply) => _reply = reply;

    /// <summary>What the model was sent, in order.</summary>
    public IReadOnlyList<ScriptedRequest> Requests => [.. _requests];

    /// <summary>The most requests that were answered at one time.</summary>
    public int MaxInFlight => _maxInFlight;

    /// <summary>The tokens that every response reports where the script does not say; default 10 in, 5 out.</summary>
    public UsageDetails? Usage { get; init; } = new() { InputTokenCount = 10, OutputTokenCount = 5, TotalTokenCount = 15 };

    /// <summary>Whether <see cref="Requests"/> has them; default true.</summary>
    public bool KeepsRequests { get; init; } = true;

    /// <summary>How long every reply takes.</summary>
    public TimeSpan Latency { get; init; }

    /// <summary>How many characters a streamed update has.</summary>
    public int ChunkSize { get; init; } = 7;

    /// <summary>What <see cref="GetService"/> says of the model.</summary>
    public ChatClientMetadata Metadata { get; init; } = new("scripted", defaultModelId: "scripted-model");

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var request = new ScriptedRequest([.. messages], options);
        if (KeepsRequests)
        {
            _requests.Enqueue(request);
        }

        InterlockedMax(ref _maxInFlight, Interlocked.Increment(ref _inFlight));
        try
        {
            if (Latency > TimeSpan.Zero)
            {
                await Task.Delay(Latency, cancellationToken);
            }

            var response = await _reply(request, cancellationToken);
            if (response is null)
            {
                return null!; // some clients do that
            }

            response.Usage ??= Usage;
            response.FinishReason ??= ChatFinishReason.Stop;
            response.ModelId ??= options?.ModelId ?? Metadata.DefaultModelId;
            return response;
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
        }
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var response = await GetResponseAsync(messages, options, cancellationToken);
        foreach (var update in response?.ToChatResponseUpdates() ?? [])
        {
            foreach (var piece in update.Contents.SelectMany(Cut))
            {
                await Task.Yield();
                yield return new ChatResponseUpdate(update.Role, [piece])
                {
                    MessageId = update.MessageId,
                    ResponseId = update.ResponseId,
                    ModelId = update.ModelId,
                    FinishReason = update.FinishReason,
                };
            }
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? Metadata
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    public void Dispose()
    {
    }

    private static void InterlockedMax(ref int target, int value)
    {
        int seen;
        while (value > (seen = Volatile.Read(ref target)) && Interlocked.CompareExchange(ref target, value, seen) != seen)
        {
        }
    }

    private IEnumerable<AIContent> Cut(AIContent content) => content switch
    {
        TextContent { Text.Length: > 0 } text => text.Text.Chunk(ChunkSize).Select(piece => new TextContent(new string(piece))),
        _ => [content],
    };
}

/// <summary>What a <see cref="ScriptedChatClient"/> was sent.</summary>
public sealed record ScriptedRequest(IReadOnlyList<ChatMessage> Messages, ChatOptions? Options)
{
    /// <summary>The text of the last message.</summary>
    public string LastText => Messages[^1].Text;

    /// <summary>How many replies the conversation already holds.</summary>
    public int Turn => Messages.Count(message => message.Role == ChatRole.Assistant);

    /// <summary>Whether a run asks, the root's or a child's, and not an <c>llm_query</c>.</summary>
    public bool IsRun => Messages[0].Role == ChatRole.System;

    /// <summary>A run's first user message: its contexts and its question.</summary>
    public string FirstText => Messages[1].Text;
}
