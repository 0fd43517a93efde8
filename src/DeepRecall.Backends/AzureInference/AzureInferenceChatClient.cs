using System.Runtime.CompilerServices;
using Azure.AI.Inference;
using Microsoft.Extensions.AI;
using ChatRole = Microsoft.Extensions.AI.ChatRole;

namespace DeepRecall.Backends.AzureInference;

/// <summary>A chat client over the Azure AI Inference SDK: text, images, sampling, JSON answers. Tools are not supported by this legacy adapter.</summary>
internal sealed class AzureInferenceChatClient(ChatCompletionsClient client, Uri endpoint, string model) : IChatClient
{
    private readonly ChatClientMetadata _metadata = new("azure.ai.inference", endpoint, model);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        var response = await client.CompleteAsync(AzureInferenceMapper.ToOptions(messages, options, model), cancellationToken).ConfigureAwait(false);
        var completions = response.Value;
        return new ChatResponse(new ChatMessage(ChatRole.Assistant, completions.Content) { MessageId = completions.Id })
        {
            ResponseId = completions.Id,
            ModelId = completions.Model,
            CreatedAt = completions.Created,
            FinishReason = AzureInferenceMapper.ToFinishReason(completions.FinishReason),
            Usage = AzureInferenceMapper.ToUsage(completions.Usage),
            RawRepresentation = completions,
        };
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        using var response = await client.CompleteStreamingAsync(AzureInferenceMapper.ToOptions(messages, options, model), cancellationToken).ConfigureAwait(false);
        await foreach (var part in response.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            var update = new ChatResponseUpdate(ChatRole.Assistant, part.ContentUpdate)
            {
                ResponseId = part.Id,
                MessageId = part.Id,
                ModelId = part.Model,
                CreatedAt = part.Created,
                FinishReason = AzureInferenceMapper.ToFinishReason(part.FinishReason),
                RawRepresentation = part,
            };
            if (AzureInferenceMapper.ToUsage(part.Usage) is { } usage)
            {
                update.Contents.Add(new UsageContent(usage));
            }

            yield return update;
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? _metadata
            : serviceType.IsInstanceOfType(client) ? client
            : serviceType.IsInstanceOfType(this) ? this
            : null;
    }

    public void Dispose()
    {
    }
}
