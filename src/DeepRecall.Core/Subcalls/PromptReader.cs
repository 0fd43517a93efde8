using System.Text;
using System.Text.Json;
using DeepRecall.Repl;
using Microsoft.Extensions.AI;

namespace DeepRecall.Subcalls;

/// <summary>Reads what model code passed to a query function.</summary>
internal static class PromptReader
{
    public static JsonElement Argument(CallParams call, string name) =>
        call.Arguments.ValueKind == JsonValueKind.Object && call.Arguments.TryGetProperty(name, out var value) ? value : default;

    public static bool IsAbsent(JsonElement value) => value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null;

    /// <summary>A prompt: a string, or messages with role and content.</summary>
    public static List<ChatMessage>? TryRead(JsonElement prompt)
    {
        if (prompt.ValueKind == JsonValueKind.String)
        {
            return [new ChatMessage(ChatRole.User, prompt.GetString())];
        }

        if (prompt.ValueKind != JsonValueKind.Array || prompt.GetArrayLength() == 0)
        {
            return null;
        }

        List<ChatMessage> messages = [];
        foreach (var message in prompt.EnumerateArray())
        {
            if (message.ValueKind != JsonValueKind.Object
                || !message.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String || string.IsNullOrWhiteSpace(role.GetString())
                || !message.TryGetProperty("content", out var content) || content.ValueKind != JsonValueKind.String)
            {
                return null;
            }

            messages.Add(new ChatMessage(new ChatRole(role.GetString()!), content.GetString()));
        }

        return messages;
    }

    /// <summary>The prompt with a context put below it, for a model that has no REPL.</summary>
    public static List<ChatMessage> WithContext(List<ChatMessage> messages, JsonElement context)
    {
        if (IsAbsent(context))
        {
            return messages;
        }

        var text = context.ValueKind == JsonValueKind.String ? context.GetString() : context.GetRawText();
        var last = messages[^1];
        return [.. messages[..^1], new ChatMessage(last.Role, new StringBuilder(last.Text).Append("\n\nContext:\n").Append(text).ToString())];
    }

    /// <summary>What Python calls a value, for an error text.</summary>
    public static string NameOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null => "None",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a bool",
        JsonValueKind.Array => "this list",
        JsonValueKind.Object => "a dict",
        _ => "a str",
    };
}
