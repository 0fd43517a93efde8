using System.Text.Json;
using DeepRecall.Repl;
using Microsoft.Extensions.AI;

namespace DeepRecall.Answers;

/// <summary>What an answer must be: any text, JSON, or JSON that fits a schema.</summary>
internal sealed class AnswerFormat
{
    private AnswerFormat(bool isJson, JsonElement? schema)
    {
        IsJson = isJson;
        Schema = schema?.Clone();
    }

    public static AnswerFormat Text { get; } = new(false, null);

    public bool IsJson { get; }

    public JsonElement? Schema { get; }

    public static AnswerFormat From(ChatResponseFormat? format) =>
        format is ChatResponseFormatJson json ? new AnswerFormat(true, json.Schema) : Text;

    public static AnswerFormat FromSchema(JsonElement schema) => new(true, schema);

    /// <summary>Whether an answer is what it must be.</summary>
    /// <param name="answer">The answer; it becomes the JSON in it, where text stands around that.</param>
    /// <param name="problem">What is wrong, for its author.</param>
    public bool Accepts(ref string answer, out string? problem)
    {
        problem = null;
        if (!IsJson)
        {
            return true;
        }

        var text = WithoutFence(answer);
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = ProtocolJson.MaxDepth });
            problem = Check(document.RootElement);
        }
        catch (JsonException error)
        {
            // A schema that wants a string is also met by the string itself.
            var quoted = JsonSerializer.SerializeToElement(answer, ProtocolJson.Default.String);
            if (Schema is not null && Check(quoted) is null)
            {
                answer = quoted.GetRawText();
                return true;
            }

            problem = $"it is not JSON: {error.Message}";
        }

        if (problem is null)
        {
            answer = text;
        }

        return problem is null;
    }

    /// <summary>What the model is told about it; empty for text.</summary>
    public string Describe() =>
        !IsJson ? string.Empty
        : Schema is not { } schema ? "The answer must be JSON: set `answer[\"content\"]` to a dict or a list, or to a `str` of JSON."
        : $"The answer must be JSON that fits the schema below: set `answer[\"content\"]` to a dict (or what else the schema says), or to a `str` of that JSON. It is checked.\n{schema.GetRawText()}";

    private string? Check(JsonElement value) => Schema is { } schema ? JsonSchemaValidator.Validate(schema, value) : null;

    private static string WithoutFence(string answer)
    {
        var text = answer.Trim();
        if (!text.StartsWith("```", StringComparison.Ordinal))
        {
            return text;
        }

        var start = text.IndexOf('\n', StringComparison.Ordinal);
        var end = text.LastIndexOf("```", StringComparison.Ordinal);
        return start > 0 && end > start ? text[start..end].Trim() : text;
    }
}
