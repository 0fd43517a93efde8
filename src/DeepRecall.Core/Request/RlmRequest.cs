using Microsoft.Extensions.AI;

namespace DeepRecall.Request;

/// <summary>A request as the loop works on it.</summary>
internal sealed record RlmRequest
{
    /// <summary>The question in full.</summary>
    public required string Question { get; init; }

    /// <summary>Where in the REPL the whole question is, when it is too long to be shown whole.</summary>
    public string? QuestionVariable { get; init; }

    /// <summary>What else stands beside the question and is shown to the model, such as an image.</summary>
    public IReadOnlyList<AIContent> Attachments { get; init; } = [];

    public required IReadOnlyList<ContextSource> Contexts { get; init; }

    /// <summary>The earlier messages as a JSON array, or <see langword="null"/> when there are none.</summary>
    public string? HistoryJson { get; init; }

    public int HistoryCount { get; init; }

    /// <summary>The caller's own instructions, of system messages and <see cref="ChatOptions.Instructions"/>.</summary>
    public string? Instructions { get; init; }

    public ToolSet Tools { get; init; } = ToolSet.Empty;

    /// <summary>Whether the caller asked for JSON, so that a dict or a list is a fit answer.</summary>
    public bool AnswerJson { get; init; }

    /// <summary>What the root model is called with.</summary>
    public ChatOptions? ModelOptions { get; init; }
}
