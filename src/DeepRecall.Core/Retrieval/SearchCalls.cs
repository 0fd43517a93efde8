using System.Globalization;
using System.Text.Json;
using DeepRecall.Budgets;
using DeepRecall.Repl;
using DeepRecall.Subcalls;

namespace DeepRecall.Retrieval;

/// <summary>Serves <c>search_db</c>.</summary>
internal sealed class SearchCalls(ISearchSource source, BudgetLedger ledger)
{
    public const string Name = "search_db";

    private const int DefaultTopK = 5;
    private const int MaxTopK = 1_000;

    /// <exception cref="ArgumentException">An argument of model code is not usable.</exception>
    /// <exception cref="InvalidOperationException">All searches are used.</exception>
    public async Task<JsonElement> SearchAsync(CallParams call, CancellationToken cancellationToken)
    {
        var request = Read(call);
        if (ledger.CountSearch() is { } used)
        {
            throw new InvalidOperationException(used);
        }

        var found = await source.SearchAsync(request, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false)
            ?? throw new InvalidOperationException($"the search source {source.GetType().Name} returned null");
        return Write(found.Take(request.TopK));
    }

    private static SearchRequest Read(CallParams call)
    {
        var query = PromptReader.Argument(call, "query");
        if (query.ValueKind != JsonValueKind.String || string.IsNullOrWhiteSpace(query.GetString()))
        {
            throw new ArgumentException($"query must be a str that is not blank, not {PromptReader.NameOf(query)}");
        }

        var topK = DefaultTopK;
        var given = PromptReader.Argument(call, "top_k");
        if (!PromptReader.IsAbsent(given) && !(given.ValueKind == JsonValueKind.Number && given.TryGetInt32(out topK) && topK is >= 1 and <= MaxTopK))
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"top_k is {given.GetRawText()}; it must be a whole number from 1 to {MaxTopK:N0}"));
        }

        var filters = PromptReader.Argument(call, "filters");
        if (!PromptReader.IsAbsent(filters) && filters.ValueKind != JsonValueKind.Object)
        {
            throw new ArgumentException($"filters must be a dict, not {PromptReader.NameOf(filters)}");
        }

        return new SearchRequest(
            query.GetString()!,
            topK,
            filters.ValueKind == JsonValueKind.Object
                ? filters.EnumerateObject().ToDictionary(filter => filter.Name, filter => filter.Value.Clone(), StringComparer.Ordinal)
                : new Dictionary<string, JsonElement>());
    }

    private static JsonElement Write(IEnumerable<SearchResult> results)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, ProtocolJson.WriterOptions))
        {
            writer.WriteStartArray();
            foreach (var result in results)
            {
                writer.WriteStartObject();
                writer.WriteString("content", result.Content);
                Write(writer, "score", result.Score);
                writer.WriteString("id", result.Id);
                writer.WriteStartObject("metadata");
                foreach (var (name, value) in result.Metadata)
                {
                    Write(writer, name, value);
                }

                writer.WriteEndObject();
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        using var document = JsonDocument.Parse(buffer.GetBuffer().AsMemory(0, (int)buffer.Length));
        return document.RootElement.Clone();
    }

    private static void Write(Utf8JsonWriter writer, string name, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteNull(name);
                break;
            case bool flag:
                writer.WriteBoolean(name, flag);
                break;
            case int or long or short or byte or sbyte or ushort or uint:
                writer.WriteNumber(name, Convert.ToInt64(value, CultureInfo.InvariantCulture));
                break;
            case decimal number:
                writer.WriteNumber(name, number);
                break;
            case double or float:
                var real = Convert.ToDouble(value, CultureInfo.InvariantCulture);
                if (double.IsFinite(real))
                {
                    writer.WriteNumber(name, real);
                }
                else
                {
                    writer.WriteNull(name); // JSON has none of those
                }

                break;
            case JsonElement { ValueKind: not JsonValueKind.Undefined } element:
                writer.WritePropertyName(name);
                element.WriteTo(writer);
                break;
            case IFormattable formattable:
                writer.WriteString(name, formattable.ToString(value is DateTime or DateTimeOffset or DateOnly or TimeOnly ? "O" : null, CultureInfo.InvariantCulture));
                break;
            default:
                writer.WriteString(name, value.ToString());
                break;
        }
    }
}
