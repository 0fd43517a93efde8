using System.Diagnostics;
using System.Text;
using System.Text.Json;
using DeepRecall.Budgets;
using DeepRecall.Repl;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using static DeepRecall.Diagnostics.TelemetryNames;

namespace DeepRecall.Diagnostics;

/// <summary>The span of a model call. There is none for a client that makes its own.</summary>
internal readonly struct ChatActivity : IDisposable
{
    private readonly Activity? _span;
    private readonly bool _isSensitive;

    private ChatActivity(Activity? span, bool isSensitive)
    {
        _span = span;
        _isSensitive = isSensitive;
    }

    public static ChatActivity Start(DeepRecallOptions options, IChatClient client, IReadOnlyList<ChatMessage> messages, ChatOptions? chatOptions)
    {
        if (!Telemetry.Source.HasListeners() || client.HasTelemetry())
        {
            return default;
        }

        var metadata = client.GetService<ChatClientMetadata>();
        var model = chatOptions?.ModelId ?? metadata?.DefaultModelId;
        var span = Telemetry.Source.StartActivity(model is null ? Spans.Chat : $"{Spans.Chat} {model}", ActivityKind.Client);
        if (span is { IsAllDataRequested: true })
        {
            span.SetTag(GenAI.OperationName, "chat");
            span.SetTag(GenAI.ProviderName, metadata?.ProviderName);
            span.SetTag(GenAI.RequestModel, model);
            span.SetTag(GenAI.RequestMaxTokens, chatOptions?.MaxOutputTokens);
            if (metadata?.ProviderUri is { IsAbsoluteUri: true } uri)
            {
                span.SetTag(GenAI.ServerAddress, uri.Host);
                span.SetTag(GenAI.ServerPort, uri.Port);
            }

            if (options.EnableSensitiveTelemetry)
            {
                span.SetTag(GenAI.InputMessages, ToJson(messages, finishReason: null));
            }
        }

        return new ChatActivity(span, options.EnableSensitiveTelemetry);
    }

    public void End(ModelResponse response)
    {
        if (_span is not { IsAllDataRequested: true } span)
        {
            return;
        }

        span.SetUsage(response.Usage);
        if (response.Response is { } reply)
        {
            span.SetTag(GenAI.ResponseModel, reply.ModelId);
            span.SetTag(GenAI.ResponseId, reply.ResponseId);
            if (reply.FinishReason is { } reason)
            {
                span.SetTag(GenAI.FinishReasons, new[] { reason.Value });
            }

            if (_isSensitive)
            {
                span.SetTag(GenAI.OutputMessages, ToJson(reply.Messages, reply.FinishReason?.Value));
            }
        }
    }

    public void Fail(Exception error) => _span.Fail(Telemetry.ErrorTypeOf(error), _isSensitive ? error.Message : null);

    public void Dispose() => _span?.Dispose();

    /// <summary>Messages as the conventions write them; of each text as much as a record keeps.</summary>
    private static string ToJson(IEnumerable<ChatMessage> messages, string? finishReason)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, ProtocolJson.WriterOptions))
        {
            writer.WriteStartArray();
            foreach (var message in messages)
            {
                writer.WriteStartObject();
                writer.WriteString("role", message.Role.Value);
                writer.WriteStartArray("parts");
                foreach (var content in message.Contents)
                {
                    Write(writer, content);
                }

                writer.WriteEndArray();
                if (finishReason is not null)
                {
                    writer.WriteString("finish_reason", finishReason);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    private static void Write(Utf8JsonWriter writer, AIContent content)
    {
        var (type, text) = content switch
        {
            TextContent said => ("text", said.Text),
            TextReasoningContent thought => ("reasoning", thought.Text),
            _ => (null, null),
        };
        if (!string.IsNullOrEmpty(text))
        {
            writer.WriteStartObject();
            writer.WriteString("type", type);
            writer.WriteString("content", Excerpt.Head(text));
            writer.WriteEndObject();
        }
    }
}
