namespace DeepRecall.Budgets;

/// <summary>What is kept of a budget for one last call that asks for an answer, so that what was found is not lost.</summary>
/// <param name="Tokens">How many tokens are kept, prompt and reply together.</param>
/// <param name="CostUsd">What they cost at the most.</param>
/// <param name="PromptBytes">How long the prompt may be, in bytes of UTF-8; 0 when so little is kept that the call is not made.</param>
/// <param name="OutputTokens">How long the reply may be.</param>
internal sealed record ClosingReserve(long Tokens, decimal CostUsd, int PromptBytes, int OutputTokens)
{
    private const int MostTokens = 9_000;
    private const int LeastTokens = 600;

    /// <summary>Room for a request without limits on tokens and cost.</summary>
    public static ClosingReserve Free { get; } = Of(MostTokens, null);

    /// <summary>At most a tenth of either limit.</summary>
    public static ClosingReserve For(long? maxTokens, decimal? maxCost, ModelPricing? pricing)
    {
        long tokens = MostTokens;
        if (maxTokens is { } limit)
        {
            tokens = Math.Min(tokens, limit / 10);
        }

        if (maxCost is { } cost && pricing is not null)
        {
            var each = pricing.WorstCase(1, 1);
            if (each > 0)
            {
                tokens = (long)Math.Min(tokens, Math.Floor(cost / 10 / each));
            }
        }

        return tokens < LeastTokens ? new ClosingReserve(0, 0, 0, 0) : Of(tokens, pricing);
    }

    private static ClosingReserve Of(long tokens, ModelPricing? pricing)
    {
        var output = (int)Math.Min(1_000, tokens / 3);
        var prompt = (int)tokens - output;
        return new ClosingReserve(tokens, pricing?.WorstCase(prompt, output) ?? 0, prompt - TokenBound.PerCall - (2 * TokenBound.PerMessage), output);
    }
}
