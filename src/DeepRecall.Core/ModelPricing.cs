using Microsoft.Extensions.AI;

namespace DeepRecall;

/// <summary>What the tokens of a model cost, in USD for a million.</summary>
/// <param name="InputPerMillion">The price of a million input tokens.</param>
/// <param name="OutputPerMillion">The price of a million output tokens, reasoning included.</param>
public sealed record ModelPricing(decimal InputPerMillion, decimal OutputPerMillion)
{
    private const decimal Million = 1_000_000m;

    /// <summary>Gets the price of a million input tokens that the provider had cached. Default: that of other input.</summary>
    public decimal? CachedInputPerMillion { get; init; }

    /// <summary>What a call costs at the most, in USD.</summary>
    internal decimal WorstCase(long inputTokens, long outputTokens) =>
        ((inputTokens * Math.Max(InputPerMillion, CachedInputPerMillion ?? 0)) + (outputTokens * OutputPerMillion)) / Million;

    /// <summary>Gets what a call cost.</summary>
    /// <param name="usage">The usage of its response.</param>
    /// <returns>The cost in USD.</returns>
    public decimal CostOf(UsageDetails usage)
    {
        ArgumentNullException.ThrowIfNull(usage);
        if (usage is { InputTokenCount: null, OutputTokenCount: null, TotalTokenCount: { } total })
        {
            return total * Math.Max(InputPerMillion, OutputPerMillion) / Million; // which of them they were is not told
        }

        var input = usage.InputTokenCount ?? 0;
        var cached = Math.Clamp(usage.CachedInputTokenCount ?? 0, 0, input);
        return (((input - cached) * InputPerMillion)
            + (cached * (CachedInputPerMillion ?? InputPerMillion))
            + ((usage.OutputTokenCount ?? 0) * OutputPerMillion)) / Million;
    }
}
