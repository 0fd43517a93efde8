using System.Text.Json;

namespace DeepRecall.Repl;

/// <summary>What a host function gives back to Python: a <c>str</c>, a list of <c>str</c>, or any JSON value.</summary>
internal abstract record HostReply
{
    public static HostReply Text(string value) => new TextReply(value);

    public static HostReply Texts(IReadOnlyList<string> values) => new TextsReply(values);

    public static HostReply Json(JsonElement value) => new JsonReply(value);

    /// <summary>JSON as it stands; it was checked to be some.</summary>
    public static HostReply RawJson(string json) => new RawReply(json);

    public static HostReply All(IReadOnlyList<HostReply> values) => new ListReply(values);

    public abstract void Write(Utf8JsonWriter writer);

    private sealed record TextReply(string Value) : HostReply
    {
        public override void Write(Utf8JsonWriter writer) => writer.WriteStringValue(Value);
    }

    private sealed record TextsReply(IReadOnlyList<string> Values) : HostReply
    {
        public override void Write(Utf8JsonWriter writer)
        {
            writer.WriteStartArray();
            foreach (var value in Values)
            {
                writer.WriteStringValue(value);
            }

            writer.WriteEndArray();
        }
    }

    private sealed record JsonReply(JsonElement Value) : HostReply
    {
        public override void Write(Utf8JsonWriter writer) => Value.WriteTo(writer);
    }

    private sealed record RawReply(string Value) : HostReply
    {
        // Written anew: JSON of a model may have line feeds, and a message is one line.
        public override void Write(Utf8JsonWriter writer)
        {
            using var document = JsonDocument.Parse(Value, new JsonDocumentOptions { MaxDepth = ProtocolJson.MaxDepth });
            document.RootElement.WriteTo(writer);
        }
    }

    private sealed record ListReply(IReadOnlyList<HostReply> Values) : HostReply
    {
        public override void Write(Utf8JsonWriter writer)
        {
            writer.WriteStartArray();
            foreach (var value in Values)
            {
                value.Write(writer);
            }

            writer.WriteEndArray();
        }
    }
}
