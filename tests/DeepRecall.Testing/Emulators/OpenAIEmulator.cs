using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators;

/// <summary>OpenAI's chat completions, as OpenAI itself, Azure and the gateways serve them: at any path that ends in <c>/chat/completions</c>.</summary>
public sealed class OpenAIEmulator : ProviderEmulator
{
    /// <summary>What an answer holds beside its text: a function of the request. Set before the first request.</summary>
    public Func<EmulatedRequest, OpenAIAnswer> Answer { get; set; } = _ => new OpenAIAnswer();

    protected override string ErrorBody(int status, string message) => new JsonObject
    {
        ["error"] = new JsonObject
        {
            ["message"] = message,
            ["type"] = status >= 500 ? "server_error" : "invalid_request_error",
            ["param"] = null,
            ["code"] = CodeOf(status),
        },
    }.ToJsonString();

    protected override async Task AnswerAsync(HttpContext context, EmulatedRequest request, Fault? fault)
    {
        if (request.Method != "POST" || !request.Path.EndsWith("/chat/completions", StringComparison.Ordinal))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(ErrorBody(404, $"Invalid URL ({request.Method} {request.Path})"), context.RequestAborted);
            return;
        }

        var answer = Answer(request);
        foreach (var (name, value) in answer.Headers)
        {
            context.Response.Headers[name] = value;
        }

        var body = request.Json;
        var streamed = body.TryGetProperty("stream", out var stream) && stream.GetBoolean();
        var withUsage = streamed && body.TryGetProperty("stream_options", out var options) && options.TryGetProperty("include_usage", out var include) && include.GetBoolean();
        context.Response.ContentType = streamed ? "text/event-stream" : "application/json";
        if (fault?.Kind == FaultKind.CutAfterHeaders)
        {
            await context.Response.StartAsync(context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            context.Abort();
            return;
        }

        var model = body.GetProperty("model").GetString()!;
        var text = fault?.Kind == FaultKind.Empty ? string.Empty : Reply(request);
        if (streamed)
        {
            await StreamAsync(context, model, text, answer, withUsage, fault);
        }
        else
        {
            await context.Response.WriteAsync(Completion(model, text, answer).ToJsonString(), context.RequestAborted);
        }
    }

    private static string? CodeOf(int status) => status switch
    {
        401 => "invalid_api_key",
        404 => "model_not_found",
        429 => "rate_limit_exceeded",
        _ => null,
    };

    private static async Task StreamAsync(HttpContext context, string model, string text, OpenAIAnswer answer, bool withUsage, Fault? fault)
    {
        await SendAsync(Chunk(model, new JsonObject { ["role"] = "assistant", ["content"] = string.Empty }, null, withUsage));
        foreach (var piece in text.Chunk(Math.Max(1, (text.Length + 2) / 3)))
        {
            await SendAsync(Chunk(model, new JsonObject { ["content"] = new string(piece) }, null, withUsage), fault);
            if (fault?.Kind == FaultKind.ErrorInStream)
            {
                await WriteEventAsync(context, fault.Body!, fault: null);
                await WriteEventAsync(context, "[DONE]", fault: null);
                return;
            }

            if (fault?.Kind == FaultKind.Stall)
            {
                await Task.Delay(fault.Delay, context.RequestAborted);
            }
        }

        await SendAsync(Chunk(model, [], answer.FinishReason, withUsage));
        if (withUsage && Usage(answer) is { } usage)
        {
            var last = Envelope(model, "chat.completion.chunk", []);
            last["usage"] = usage;
            await SendAsync(last);
        }

        await WriteEventAsync(context, "[DONE]", fault: null);

        Task SendAsync(JsonObject chunk, Fault? cut = null) => WriteEventAsync(context, chunk.ToJsonString(), cut);
    }

    private static JsonObject Completion(string model, string text, OpenAIAnswer answer)
    {
        var completion = Envelope(model, "chat.completion", [new JsonObject
        {
            ["index"] = 0,
            ["message"] = new JsonObject { ["role"] = "assistant", ["content"] = text, ["refusal"] = null },
            ["logprobs"] = null,
            ["finish_reason"] = answer.FinishReason,
        }]);
        if (Usage(answer) is { } usage)
        {
            completion["usage"] = usage;
        }

        return completion;
    }

    private static JsonObject Chunk(string model, JsonObject delta, string? finishReason, bool withUsage)
    {
        var chunk = Envelope(model, "chat.completion.chunk", [new JsonObject
        {
            ["index"] = 0,
            ["delta"] = delta,
            ["logprobs"] = null,
            ["finish_reason"] = finishReason,
        }]);
        if (withUsage)
        {
            chunk["usage"] = null;
        }

        return chunk;
    }

    private static JsonObject Envelope(string model, string kind, JsonArray choices) => new()
    {
        ["id"] = "chatcmpl-emulated",
        ["object"] = kind,
        ["created"] = 1_767_225_600,
        ["model"] = model,
        ["system_fingerprint"] = "fp_emulated",
        ["choices"] = choices,
    };

    private static JsonObject? Usage(OpenAIAnswer answer)
    {
        if (!answer.HasUsage)
        {
            return null;
        }

        var usage = new JsonObject
        {
            ["prompt_tokens"] = answer.InputTokens,
            ["completion_tokens"] = answer.OutputTokens,
            ["total_tokens"] = answer.InputTokens + answer.OutputTokens,
            ["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = answer.CachedTokens, ["audio_tokens"] = 0 },
            ["completion_tokens_details"] = new JsonObject { ["reasoning_tokens"] = answer.ReasoningTokens, ["audio_tokens"] = 0 },
        };
        if (answer.Cost is { } cost)
        {
            usage["cost"] = cost;
        }

        if (answer.UpstreamCost is { } upstream)
        {
            usage["cost_details"] = new JsonObject { ["upstream_inference_cost"] = upstream };
        }

        return usage;
    }
}

/// <summary>What an answer of <see cref="OpenAIEmulator"/> holds beside its text.</summary>
public sealed record OpenAIAnswer
{
    public string FinishReason { get; init; } = "stop";

    public bool HasUsage { get; init; } = true;

    public int InputTokens { get; init; } = 10;

    public int OutputTokens { get; init; } = 5;

    public int CachedTokens { get; init; }

    public int ReasoningTokens { get; init; }

    /// <summary>OpenRouter's <c>usage.cost</c>.</summary>
    public decimal? Cost { get; init; }

    /// <summary>OpenRouter's <c>usage.cost_details.upstream_inference_cost</c>.</summary>
    public decimal? UpstreamCost { get; init; }

    /// <summary>Headers of this answer alone.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();
}
