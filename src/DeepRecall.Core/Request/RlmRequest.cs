using DeepRecall.Answers;
using Microsoft.Extensions.AI;

namespace DeepRecall.Request;

/// <summary>A request as the loop works on it.</summary>
internal sealed record RlmRequest
{
    /// <summary>The question in full.</summary>
    public required string Question { get; init; }

    /// <summary>Which of the contexts is the whole question, when it is too long to be shown whole.</summary>
    public int? QuestionIndex { get; init; }

    /// <summary>What else stands beside the question and is shown to the model, such as an image.</summary>
    public IReadOnlyList<AIContent> Attachments { get; init; } = [];

    public required IReadOnlyList<ContextSource> Contexts { get; init; }

    /// <summary>Whether the caller gave no context, so that the conversation itself is the one there is.</summary>
    public bool ContextIsConversation { get; init; }

    /// <summary>The earlier messages as a JSON array, or <see langword="null"/> when there are none.</summary>
    public string? HistoryJson { get; init; }

    public int HistoryCount { get; init; }

    /// <summary>The caller's own instructions, of system messages and <see cref="ChatOptions.Instructions"/>.</summary>
    public string? Instructions { get; init; }

    public ToolSet Tools { get; init; } = ToolSet.Empty;

    /// <summary>What the answer must be.</summary>
    public AnswerFormat Answer { get; init; } = AnswerFormat.Text;

    /// <summary>What the root model is called with.</summary>
    public ChatOptions? ModelOptions { get; init; }
}
