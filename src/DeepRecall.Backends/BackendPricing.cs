using Microsoft.Extensions.AI;

namespace DeepRecall.Backends;

/// <summary>What the tokens of a model cost, in USD for a million.</summary>
public sealed class BackendPricing
{
    /// <summary>Gets or sets the price of a million input tokens.</summary>
    public decimal InputPerMillion { get; set; }

    /// <summary>Gets or sets the price of a million output tokens, reasoning included.</summary>
    public decimal OutputPerMillion { get; set; }

    /// <summary>Gets or sets the price of a million input tokens that the provider had cached. Default: that of other input.</summary>
    public decimal? CachedInputPerMillion { get; set; }

    internal BackendPricing Clone() =>
        new() { InputPerMillion = InputPerMillion, OutputPerMillion = OutputPerMillion, CachedInputPerMillion = CachedInputPerMillion };

    /// <summary>What these tokens cost, in USD.</summary>
    internal decimal CostOf(UsageDetails usage)
    {
        var input = usage.InputTokenCount ?? 0;
        var cached = Math.Clamp(usage.CachedInputTokenCount ?? 0, 0, input);
        return (((input - cached) * InputPerMillion)
            + (cached * (CachedInputPerMillion ?? InputPerMillion))
            + ((usage.OutputTokenCount ?? 0) * OutputPerMillion)) / 1_000_000m;
    }
}
