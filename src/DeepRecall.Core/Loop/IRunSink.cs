using System.Threading.Channels;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>Where a request's updates go. Thread-safe: sub-calls report from any thread.</summary>
internal interface IRunSink
{
    /// <summary>Gets a value indicating whether somebody reads along, so that the root model's reply should be streamed.</summary>
    bool IsStreaming { get; }

    /// <summary>Takes a content of the root's current message.</summary>
    void Write(AIContent content);

    void WriteEvent(DeepRecallEvent value) => Write(new AIContent { RawRepresentation = value });
}

/// <summary>Gives every content of a request the identity of its response and message.</summary>
internal sealed class RunSink(string responseId, string? conversationId, DateTimeOffset createdAt, ChannelWriter<ChatResponseUpdate>? channel) : IRunSink
{
    private readonly Lock _lock = new();
    private readonly List<ChatResponseUpdate> _updates = [];
    private string? _messageId;
    private bool _completed;

    public bool IsStreaming => channel is not null;

    /// <summary>Begins a message: every turn is one, and the answer is the last.</summary>
    public void BeginMessage(string messageId) => _messageId = messageId;

    public void Write(AIContent content) => Write(new ChatResponseUpdate(ChatRole.Assistant, [content]) { MessageId = _messageId });

    public void Write(ChatResponseUpdate update)
    {
        update.ResponseId = responseId;
        update.CreatedAt = createdAt;
        update.ConversationId = conversationId;
        if (channel is not null)
        {
            channel.TryWrite(update);
            return;
        }

        lock (_lock)
        {
            if (!_completed)
            {
                _updates.Add(update);
            }
        }
    }

    /// <summary>Ends a request that nobody reads along; a cancelled sub-call that still reports is not heard any more.</summary>
    public IReadOnlyList<ChatResponseUpdate> Complete()
    {
        lock (_lock)
        {
            _completed = true;
            return _updates;
        }
    }
}
