using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators;

/// <summary>Anthropic's messages: <c>POST /v1/messages</c>.</summary>
public sealed class AnthropicEmulator : ProviderEmulator
{
    /// <summary>Whether the last event of a stream repeats the input tokens, as the API does of late, or tells the output tokens alone.</summary>
    public bool UsageIsCumulative { get; set; } = true;

    protected override async Task AnswerAsync(HttpContext context, EmulatedRequest request, Fault? fault)
    {
        var model = request.Json.GetProperty("model").GetString()!;
        var reply = fault?.Kind == FaultKind.Empty ? null : Reply(request);
        if (!request.Json.TryGetProperty("stream", out var stream) || !stream.GetBoolean())
        {
            await WriteJsonAsync(context, Raw(request)?[0] ?? Whole(model, reply), fault);
            return;
        }

        foreach (var data in Raw(request) ?? [.. Events(model, reply)])
        {
            await WriteEventAsync(context, data, fault, JsonElement.Parse(data).GetProperty("type").GetString());
        }
    }

    protected override string ErrorBody(int status, string message)
    {
        var type = status switch
        {
            400 => "invalid_request_error",
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        return $$"""{"type":"error","error":{"type":"{{type}}","message":{{JsonSerializer.Serialize(message)}}},"request_id":"req_1"}""";
    }

    private static string Whole(string model, string? reply)
    {
        var content = reply is null ? "[]" : $$"""[{"type":"text","text":{{JsonSerializer.Serialize(reply)}}}]""";
        return $$$"""
            {"id":"msg_1","type":"message","role":"assistant","model":"{{{model}}}","content":{{{content}}},"stop_reason":"end_turn","stop_sequence":null,
             "usage":{"input_tokens":60,"cache_creation_input_tokens":0,"cache_read_input_tokens":40,"output_tokens":20,"service_tier":"standard"}}
            """;
    }

    private IEnumerable<string> Events(string model, string? reply)
    {
        yield return $$$$"""{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"{{{{model}}}}","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":60,"cache_creation_input_tokens":0,"cache_read_input_tokens":40,"output_tokens":1,"service_tier":"standard"}}}""";
        if (reply is not null)
        {
            yield return """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""";
            yield return """{"type":"ping"}""";
            foreach (var piece in Cut(reply))
            {
                yield return JsonSerializer.Serialize(new { type = "content_block_delta", index = 0, delta = new { type = "text_delta", text = piece } });
            }

            yield return """{"type":"content_block_stop","index":0}""";
        }

        var input = UsageIsCumulative ? "\"input_tokens\":60,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":40," : string.Empty;
        yield return $$$"""{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{{{{input}}}"output_tokens":20}}""";
        yield return """{"type":"message_stop"}""";
    }
}
