using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepRecall.Benchmarks;

/// <summary>A measured figure: the median and the 99th percentile of <paramref name="N"/> samples.</summary>
internal sealed record Figure(string Name, double Median, double P99, string Unit, int N)
{
    public static Figure Of(string name, IReadOnlyCollection<double> milliseconds)
    {
        var sorted = milliseconds.Order().ToArray();
        return new Figure(
            name,
            Math.Round(sorted[sorted.Length / 2], 4),
            Math.Round(sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * 0.99))], 4),
            "ms",
            sorted.Length);
    }

    public string ToJson() => JsonSerializer.Serialize(this, FigureJson.Default.Figure);

    public override string ToString() => $"{Name,-24} {Median,12:N3} {P99,12:N3} {Unit,4} {N,8}";
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Figure))]
internal sealed partial class FigureJson : JsonSerializerContext;
