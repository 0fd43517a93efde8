using System.Text.Json;
using Azure.AI.Inference;
using Microsoft.Extensions.AI;
using ChatRole = Microsoft.Extensions.AI.ChatRole;

namespace DeepRecall.Backends.AzureInference;

/// <summary>Between Microsoft.Extensions.AI and the Azure AI Inference SDK.</summary>
internal static class AzureInferenceMapper
{
    public static ChatCompletionsOptions ToOptions(IEnumerable<ChatMessage> messages, ChatOptions? options, string model)
    {
        if (options?.Tools is { Count: > 0 })
        {
            throw new NotSupportedException("The azure_inference backend does not support tools; the service is retired, use azure_openai.");
        }

        var result = new ChatCompletionsOptions
        {
            Model = options?.ModelId ?? model,
            Temperature = options?.Temperature,
            NucleusSamplingFactor = options?.TopP,
            MaxTokens = options?.MaxOutputTokens,
            FrequencyPenalty = options?.FrequencyPenalty,
            PresencePenalty = options?.PresencePenalty,
            Seed = options?.Seed,
            ResponseFormat = ToFormat(options?.ResponseFormat),
        };
        foreach (var stop in options?.StopSequences ?? [])
        {
            result.StopSequences.Add(stop);
        }

        if (!string.IsNullOrWhiteSpace(options?.Instructions))
        {
            result.Messages.Add(new ChatRequestSystemMessage(options.Instructions));
        }

        foreach (var message in messages)
        {
            result.Messages.Add(ToMessage(message));
        }

        return result;
    }

    public static ChatFinishReason? ToFinishReason(CompletionsFinishReason? reason) =>
        reason is not { } given ? null
        : given == CompletionsFinishReason.Stopped ? ChatFinishReason.Stop
        : given == CompletionsFinishReason.TokenLimitReached ? ChatFinishReason.Length
        : given == CompletionsFinishReason.ContentFiltered ? ChatFinishReason.ContentFilter
        : given == CompletionsFinishReason.ToolCalls ? ChatFinishReason.ToolCalls
        : new ChatFinishReason(given.ToString());

    public static UsageDetails? ToUsage(CompletionsUsage? usage) => usage is null ? null : new UsageDetails
    {
        InputTokenCount = usage.PromptTokens,
        OutputTokenCount = usage.CompletionTokens,
        TotalTokenCount = usage.TotalTokens,
    };

    private static ChatRequestMessage ToMessage(ChatMessage message)
    {
        if (message.Role == ChatRole.System)
        {
            return new ChatRequestSystemMessage(message.Text);
        }

        if (message.Role == ChatRole.Assistant)
        {
            return new ChatRequestAssistantMessage(message.Text);
        }

        var items = message.Contents.Select(ToItem).OfType<ChatMessageContentItem>().ToArray();
        return items.All(item => item is ChatMessageTextContentItem) ? new ChatRequestUserMessage(message.Text) : new ChatRequestUserMessage(items);
    }

    private static ChatMessageContentItem? ToItem(AIContent content) => content switch
    {
        TextContent { Text.Length: > 0 } text => new ChatMessageTextContentItem(text.Text),
        DataContent data when data.HasTopLevelMediaType("image") => new ChatMessageImageContentItem(BinaryData.FromBytes(data.Data), data.MediaType),
        UriContent uri when uri.HasTopLevelMediaType("image") => new ChatMessageImageContentItem(uri.Uri),
        _ => null,
    };

    private static ChatCompletionsResponseFormat? ToFormat(ChatResponseFormat? format)
    {
        if (format is not ChatResponseFormatJson json)
        {
            return null;
        }

        if (json.Schema is not { ValueKind: JsonValueKind.Object } schema)
        {
            return ChatCompletionsResponseFormat.CreateJsonFormat();
        }

        var properties = schema.EnumerateObject().ToDictionary(property => property.Name, property => BinaryData.FromString(property.Value.GetRawText()), StringComparer.Ordinal);
        return ChatCompletionsResponseFormat.CreateJsonFormat(json.SchemaName ?? "answer", properties, json.SchemaDescription, jsonSchemaIsStrict: true);
    }
}
