using System.Text;
using System.Text.Json;
using DeepRecall.Answers;
using DeepRecall.Repl;
using Microsoft.Extensions.AI;

namespace DeepRecall.Request;

/// <summary>Turns messages and options into a request: question, contexts, history, instructions, tools.</summary>
internal static class RequestMapper
{
    /// <summary>A longer question is put into the REPL, and the model is shown its beginning and its end.</summary>
    public const int MaxShownQuestion = 8_000;

    /// <exception cref="ArgumentException">The messages hold no question, or a message or tool is not usable.</exception>
    /// <exception cref="FileNotFoundException">A context file is gone.</exception>
    public static RlmRequest Map(IReadOnlyList<ChatMessage> messages, ChatOptions? options, ISet<string> approvedTools)
    {
        var all = messages.ToArray();
        Check(all);

        var last = Array.FindLastIndex(all, message => message.Role == ChatRole.User);
        if (last < 0)
        {
            throw new ArgumentException("The messages have no user message; the last user message is the question.", nameof(messages));
        }

        var question = all[last].Text;
        if (string.IsNullOrWhiteSpace(question))
        {
            throw new ArgumentException("The last user message has no text; its text is the question.", nameof(messages));
        }

        var contexts = all.SelectMany(message => message.Contents).Select(ToContext).OfType<ContextSource>().ToList();
        var earlier = all[..last].Concat(all[(last + 1)..]).Where(IsSpoken).ToArray();
        var isConversation = contexts.Count == 0;
        int? questionIndex = question.Length > MaxShownQuestion ? contexts.Count : null;
        if (isConversation)
        {
            contexts.Add(ToConversation(all, earlier, question));
        }
        else if (questionIndex is not null)
        {
            contexts.Add(ToContext(question));
        }

        contexts.ForEach(context => context.EnsureReadable());
        return new RlmRequest
        {
            Question = question,
            QuestionIndex = questionIndex,
            Attachments = [.. all[last].Contents.Where(content => content is not TextContent && ToContext(content) is null && content is DataContent or UriContent)],
            Contexts = contexts,
            ContextIsConversation = isConversation,
            HistoryJson = earlier.Length > 0 ? ToJson(earlier) : null,
            HistoryCount = earlier.Length,
            Instructions = Instructions(all, options),
            Tools = ToolSet.From(options?.Tools, approvedTools),
            Answer = AnswerFormat.From(options?.ResponseFormat),
            ModelOptions = ToModelOptions(options),
        };
    }

    /// <summary>The question as a context, when it is too long to be shown whole.</summary>
    public static ContextSource ToContext(string question) => new TextSource(question, ContextFormat.Text, "the question");

    private static void Check(ChatMessage[] messages)
    {
        if (messages.Length == 0)
        {
            throw new ArgumentException("There are no messages; at least a user message is needed.", nameof(messages));
        }

        for (var index = 0; index < messages.Length; index++)
        {
            if (messages[index] is not { } message)
            {
                throw new ArgumentException($"messages[{index}] is null.", nameof(messages));
            }

            if (message.Contents.Any(content => content is null))
            {
                throw new ArgumentException($"messages[{index}] has a content that is null.", nameof(messages));
            }

            if (message.Contents.FirstOrDefault(IsLost) is { } lost)
            {
                throw new ArgumentException($"messages[{index}] has a context ({lost.AdditionalProperties![ContextContent.Key]}) that came back from JSON, which does not keep its content; add it anew.", nameof(messages));
            }
        }
    }

    private static bool IsLost(AIContent content) =>
        content.RawRepresentation is not ContextSource && content.AdditionalProperties?.ContainsKey(ContextContent.Key) is true;

    private static bool IsSpoken(ChatMessage message) =>
        message.Role != ChatRole.System && !string.IsNullOrWhiteSpace(message.Text);

    private static TextSource ToConversation(ChatMessage[] all, ChatMessage[] earlier, string question) =>
        earlier.Length == 0
            ? new TextSource(question, ContextFormat.Text, null)
            : new TextSource(ToJson(all.Where(IsSpoken)), ContextFormat.Json, "the conversation");

    private static ContextSource? ToContext(AIContent content) => content switch
    {
        { RawRepresentation: ContextSource source } => source,
        DataContent data when FormatOf(data) is { } format => new BytesSource(data.Data, format, data.Name),
        _ => null,
    };

    private static ContextFormat? FormatOf(DataContent data)
    {
        var type = data.MediaType.Split(';')[0].Trim().ToLowerInvariant();
        return type switch
        {
            "application/json" => ContextFormat.Json,
            "application/jsonl" or "application/x-ndjson" => ContextFormat.JsonLines,
            "application/xml" or "application/yaml" or "application/x-yaml" => ContextFormat.Text,
            _ when type.StartsWith("text/", StringComparison.Ordinal) || type.EndsWith("+xml", StringComparison.Ordinal) || type.EndsWith("+yaml", StringComparison.Ordinal) => ContextFormat.Text,
            _ when type.EndsWith("+json", StringComparison.Ordinal) => ContextFormat.Json,
            _ => null,
        };
    }

    private static string? Instructions(ChatMessage[] messages, ChatOptions? options)
    {
        var parts = messages
            .Where(message => message.Role == ChatRole.System)
            .Select(message => message.Text)
            .Append(options?.Instructions)
            .Where(text => !string.IsNullOrWhiteSpace(text));
        var joined = string.Join("\n\n", parts);
        return joined.Length > 0 ? joined : null;
    }

    /// <summary>Options for a model's turns: the given ones, without what is for the answer or for the REPL and not for a turn of the root model.</summary>
    public static ChatOptions? ToModelOptions(ChatOptions? options)
    {
        if (options is null)
        {
            return null;
        }

        var copy = options.Clone();
        copy.Instructions = null;
        copy.Tools = null;
        copy.ToolMode = null;
        copy.AllowMultipleToolCalls = null;
        copy.ResponseFormat = null;
        copy.ConversationId = null;
        DeepRecallChatOptionsExtensions.RemoveFrom(copy);
        return copy;
    }

    /// <summary>Messages as a JSON array of objects with role and content.</summary>
    public static string ToJson(IEnumerable<ChatMessage> messages)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, ProtocolJson.WriterOptions))
        {
            writer.WriteStartArray();
            foreach (var message in messages)
            {
                writer.WriteStartObject();
                writer.WriteString("role", message.Role.Value);
                writer.WriteString("content", message.Text);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }
}
