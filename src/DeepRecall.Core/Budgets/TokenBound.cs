using System.Text;
using Microsoft.Extensions.AI;

namespace DeepRecall.Budgets;

/// <summary>How many tokens a prompt can have at the most.</summary>
internal sealed class TokenBound(Func<string, int>? countTokens)
{
    /// <summary>What chat formats add to a prompt, and to each of its messages; the providers' own are a few tokens.</summary>
    public const int PerCall = 32;
    public const int PerMessage = 16;

    // What providers make of an image is a few thousand tokens at the most; of a file no more than its bytes.
    private const int PerAttachment = 20_000;

    public long Of(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        long total = PerCall + OfText(options?.Instructions);
        if (options?.ResponseFormat is ChatResponseFormatJson { Schema: { } schema })
        {
            total += OfText(schema.GetRawText());
        }

        foreach (var message in messages)
        {
            total += PerMessage + message.Contents.Sum(Of);
        }

        return total;
    }

    private long Of(AIContent content) => content switch
    {
        TextContent text => OfText(text.Text),
        TextReasoningContent reasoning => OfText(reasoning.Text),
        DataContent data => PerAttachment + data.Data.Length,
        _ => PerAttachment,
    };

    // A tokenizer on bytes makes at least one byte of each token.
    private long OfText(string? text) =>
        string.IsNullOrEmpty(text) ? 0 : Math.Max(0, countTokens?.Invoke(text) ?? Encoding.UTF8.GetByteCount(text));
}
