using DeepRecall.Repl;

namespace DeepRecall.Sessions;

/// <summary>What is kept of a conversation between its requests: its REPL, and what was asked and answered.</summary>
public sealed class ConversationSession : IAsyncDisposable
{
    internal ConversationSession(string conversationId, ReplSession repl)
    {
        ConversationId = conversationId;
        Repl = repl;
    }

    /// <summary>Gets the conversation's id.</summary>
    public string ConversationId { get; }

    /// <summary>Gets how many requests were answered in it.</summary>
    public int Requests => Exchanges.Count;

    internal ReplSession Repl { get; }

    internal List<Exchange> Exchanges { get; } = [];

    /// <summary>Ends the REPL.</summary>
    public ValueTask DisposeAsync() => Repl.DisposeAsync();
}

/// <summary>A request of a conversation and what came of it.</summary>
internal sealed record Exchange(string Question, string Answer);
