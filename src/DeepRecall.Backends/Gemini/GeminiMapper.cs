using System.Text.Json;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Gemini;

/// <summary>Between Microsoft.Extensions.AI and Gemini's wire types.</summary>
internal static class GeminiMapper
{
    private const string Signature = "thoughtSignature";

    public static GeminiRequest ToRequest(IEnumerable<ChatMessage> messages, ChatOptions? options, string model)
    {
        List<GeminiPart> system = [];
        if (!string.IsNullOrWhiteSpace(options?.Instructions))
        {
            system.Add(new GeminiPart { Text = options.Instructions });
        }

        List<GeminiContent> contents = [];
        Dictionary<string, string> calls = new(StringComparer.Ordinal);
        foreach (var message in messages)
        {
            var parts = message.Contents.Select(content => ToPart(content, calls)).OfType<GeminiPart>().ToArray();
            if (message.Role == ChatRole.System)
            {
                system.AddRange(parts);
            }
            else if (parts.Length > 0)
            {
                contents.Add(new GeminiContent(message.Role == ChatRole.Assistant ? "model" : "user", parts));
            }
        }

        var functions = options?.Tools?.OfType<AIFunctionDeclaration>()
            .Select(tool => new GeminiFunctionDeclaration(tool.Name, tool.Description, tool.JsonSchema)).ToArray();
        return new GeminiRequest
        {
            SystemInstruction = system.Count > 0 ? new GeminiContent(null, system) : null,
            Contents = contents,
            GenerationConfig = ToConfig(options, model),
            Tools = functions is { Length: > 0 } ? [new GeminiTool(functions)] : null,
            ToolConfig = functions is { Length: > 0 } ? ToToolConfig(options!.ToolMode) : null,
        };
    }

    public static ChatResponseUpdate ToUpdate(GeminiResponse response, string model)
    {
        var candidate = response.Candidates is [var first, ..] ? first : null;
        List<AIContent> contents = [.. candidate?.Content?.Parts?.SelectMany(ToContents) ?? []];
        if (response.PromptFeedback?.BlockReason is { } blocked)
        {
            contents.Add(new ErrorContent(response.PromptFeedback.BlockReasonMessage ?? $"The prompt was blocked: {blocked}.") { ErrorCode = blocked });
        }

        if (response.UsageMetadata is { } usage)
        {
            contents.Add(new UsageContent(ToUsage(usage)));
        }

        return new ChatResponseUpdate(ChatRole.Assistant, contents)
        {
            ResponseId = response.ResponseId,
            MessageId = response.ResponseId,
            ModelId = response.ModelVersion ?? model,
            FinishReason = response.PromptFeedback?.BlockReason is not null ? ChatFinishReason.ContentFilter : ToFinishReason(candidate),
            RawRepresentation = response,
        };
    }

    public static UsageDetails ToUsage(GeminiUsage usage) => new()
    {
        InputTokenCount = usage.PromptTokenCount is null ? null : usage.PromptTokenCount + (usage.ToolUsePromptTokenCount ?? 0),
        OutputTokenCount = usage.CandidatesTokenCount is null && usage.ThoughtsTokenCount is null ? null : (usage.CandidatesTokenCount ?? 0) + (usage.ThoughtsTokenCount ?? 0),
        TotalTokenCount = usage.TotalTokenCount,
        CachedInputTokenCount = usage.CachedContentTokenCount,
        ReasoningTokenCount = usage.ThoughtsTokenCount,
    };

    private static GeminiPart? ToPart(AIContent content, Dictionary<string, string> calls)
    {
        switch (content)
        {
            case TextContent { Text.Length: > 0 } text:
                return new GeminiPart { Text = text.Text };
            case DataContent data:
                return new GeminiPart { InlineData = new GeminiBlob(data.MediaType, data.Base64Data.ToString()) };
            case UriContent uri:
                return new GeminiPart { FileData = new GeminiFile(uri.MediaType, uri.Uri.ToString()) };
            case FunctionCallContent call:
                calls[call.CallId] = call.Name;
                return new GeminiPart
                {
                    FunctionCall = new GeminiFunctionCall(call.CallId, call.Name, ToJson(call.Arguments ?? new Dictionary<string, object?>(StringComparer.Ordinal))),
                    ThoughtSignature = SignatureOf(call),
                };
            case FunctionResultContent result:
                var value = result.Exception is { } failed ? ToJson(failed.Message) : ToJson(result.Result);
                var response = value.ValueKind == JsonValueKind.Object
                    ? value
                    : JsonSerializer.SerializeToElement(new Dictionary<string, JsonElement>(StringComparer.Ordinal) { [result.Exception is null ? "result" : "error"] = value }, GeminiJson.Default.DictionaryStringJsonElement);
                return new GeminiPart { FunctionResponse = new GeminiFunctionResponse(result.CallId, calls.GetValueOrDefault(result.CallId, result.CallId), response) };
            default:
                return null; // thoughts are not sent back
        }
    }

    /// <summary>A history that was kept as JSON has elements of it in place of strings.</summary>
    private static string? SignatureOf(FunctionCallContent call) =>
        call.AdditionalProperties?.GetValueOrDefault(Signature) switch
        {
            string text => text,
            JsonElement { ValueKind: JsonValueKind.String } element => element.GetString(),
            _ => null,
        };

    private static IEnumerable<AIContent> ToContents(GeminiPart part)
    {
        if (part.Text is { Length: > 0 } text)
        {
            yield return part.Thought is true ? new TextReasoningContent(text) : new TextContent(text);
        }

        if (part.InlineData is { MimeType: { } type, Data: { } data })
        {
            yield return new DataContent(Convert.FromBase64String(data), type);
        }

        if (part.FunctionCall is { Name: { } name } call)
        {
            var arguments = call.Args is { ValueKind: JsonValueKind.Object } values
                ? values.EnumerateObject().ToDictionary(value => value.Name, value => (object?)value.Value, StringComparer.Ordinal)
                : [];
            yield return new FunctionCallContent(call.Id ?? Guid.NewGuid().ToString("N"), name, arguments)
            {
                AdditionalProperties = part.ThoughtSignature is null ? null : new() { [Signature] = part.ThoughtSignature },
            };
        }
    }

    private static GeminiGenerationConfig? ToConfig(ChatOptions? options, string model)
    {
        if (options is null)
        {
            return null;
        }

        var json = options.ResponseFormat as ChatResponseFormatJson;
        return new GeminiGenerationConfig
        {
            Temperature = options.Temperature,
            TopP = options.TopP,
            TopK = options.TopK,
            MaxOutputTokens = options.MaxOutputTokens,
            StopSequences = options.StopSequences,
            Seed = options.Seed,
            PresencePenalty = options.PresencePenalty,
            FrequencyPenalty = options.FrequencyPenalty,
            ResponseMimeType = json is null ? null : "application/json",
            ResponseJsonSchema = json?.Schema,
            ThinkingConfig = ToThinking(options.Reasoning, options.ModelId ?? model),
        };
    }

    /// <summary>Models of the 2.5 generation take a budget in tokens, later ones a level (ai.google.dev/gemini-api/docs/thinking).</summary>
    private static GeminiThinkingConfig? ToThinking(ReasoningOptions? reasoning, string model)
    {
        bool? include = reasoning?.Output is null ? null : reasoning.Output != ReasoningOutput.None;
        if (reasoning?.Effort is not { } effort)
        {
            return include is null ? null : new GeminiThinkingConfig(null, null, include);
        }

        if (!model.Contains("gemini-2", StringComparison.OrdinalIgnoreCase))
        {
            return new GeminiThinkingConfig(null, effort is ReasoningEffort.None or ReasoningEffort.Low ? "low" : effort is ReasoningEffort.Medium ? "medium" : "high", include);
        }

        var budget = effort switch
        {
            ReasoningEffort.None => model.Contains("pro", StringComparison.OrdinalIgnoreCase) ? 128 : 0, // Pro cannot stop thinking
            ReasoningEffort.Low => 1_024,
            ReasoningEffort.Medium => 8_192,
            _ => 24_576,
        };
        return new GeminiThinkingConfig(budget, null, include);
    }

    private static GeminiToolConfig? ToToolConfig(ChatToolMode? mode) => mode switch
    {
        NoneChatToolMode => new(new("NONE", null)),
        RequiredChatToolMode required => new(new("ANY", required.RequiredFunctionName is { } name ? [name] : null)),
        AutoChatToolMode => new(new("AUTO", null)),
        _ => null,
    };

    private static ChatFinishReason? ToFinishReason(GeminiCandidate? candidate) => candidate?.FinishReason switch
    {
        null or "" or "FINISH_REASON_UNSPECIFIED" => null,
        "STOP" => candidate.Content?.Parts?.Any(part => part.FunctionCall is not null) is true ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
        "MAX_TOKENS" => ChatFinishReason.Length,
        "SAFETY" or "RECITATION" or "BLOCKLIST" or "PROHIBITED_CONTENT" or "SPII" or "IMAGE_SAFETY" or "IMAGE_PROHIBITED_CONTENT" or "IMAGE_RECITATION" => ChatFinishReason.ContentFilter,
        var other => new ChatFinishReason(other.ToLowerInvariant()),
    };

    private static JsonElement ToJson(object? value) =>
        value is JsonElement element ? element : JsonSerializer.SerializeToElement(value, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(object)));
}
