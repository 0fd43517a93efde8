namespace DeepRecall.Retrieval;

/// <summary>Something that a search found.</summary>
/// <param name="Content">Its text.</param>
/// <param name="Score">How well it fits; higher is better.</param>
/// <param name="Id">Its id in the source, or <see langword="null"/>.</param>
public sealed record SearchResult(string Content, double Score, string? Id = null)
{
    /// <summary>Gets what else is known of it: strings, numbers, booleans, or <see langword="null"/>.</summary>
    public IReadOnlyDictionary<string, object?> Metadata { get; init; } = new Dictionary<string, object?>();
}
