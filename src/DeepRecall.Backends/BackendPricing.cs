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

    internal ModelPricing ToModelPricing() => new(InputPerMillion, OutputPerMillion) { CachedInputPerMillion = CachedInputPerMillion };
}
