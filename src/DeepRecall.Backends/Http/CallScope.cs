namespace DeepRecall.Backends.Http;

/// <summary>What the HTTP layer learns of a call and its SDK does not pass on.</summary>
internal sealed class CallScope : IDisposable
{
    private static readonly AsyncLocal<CallScope?> Ambient = new();

    public static CallScope? Current => Ambient.Value;

    /// <summary>What the call cost, where a header told it.</summary>
    public decimal? CostUsd { get; set; }

    public static CallScope Begin() => Ambient.Value = new CallScope();

    public void Dispose() => Ambient.Value = null;
}
