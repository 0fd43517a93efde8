using System.Text.Json;

namespace DeepRecall.Retrieval;

/// <summary>A search of code in the REPL.</summary>
/// <param name="Query">What to look for.</param>
/// <param name="TopK">How many results at the most, 1 to 1,000.</param>
/// <param name="Filters">Conditions on the metadata, as model code wrote them; empty when there are none. They can only narrow what the source allows anyway.</param>
public sealed record SearchRequest(string Query, int TopK, IReadOnlyDictionary<string, JsonElement> Filters);
