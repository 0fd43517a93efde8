using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators;

/// <summary>Azure AI Inference: <c>POST {endpoint}/chat/completions?api-version=...</c>.</summary>
public sealed class AzureInferenceEmulator : ProviderEmulator
{
    private const string Usage = """{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}""";

    protected override async Task AnswerAsync(HttpContext context, EmulatedRequest request, Fault? fault)
    {
        var model = request.Json.GetProperty("model").GetString()!;
        var reply = fault?.Kind == FaultKind.Empty ? string.Empty : Reply(request);
        if (!request.Json.TryGetProperty("stream", out var stream) || !stream.GetBoolean())
        {
            await WriteJsonAsync(context, Raw(request)?[0] ?? Whole(model, reply), fault);
            return;
        }

        foreach (var data in Raw(request) ?? [.. Chunks(model, reply)])
        {
            await WriteEventAsync(context, data, fault);
        }

        await WriteEventAsync(context, "[DONE]", fault);
    }

    protected override string ErrorBody(int status, string message) =>
        $$$"""{"error":{"code":"{{{(status == 401 ? "Unauthorized" : status == 404 ? "unknown_model" : "error")}}}","message":{{{JsonSerializer.Serialize(message)}}},"details":null}}""";

    private static string Whole(string model, string reply) =>
        $$"""{"id":"chat_1","object":"chat.completion","created":1795341600,"model":"{{model}}","choices":[{"index":0,"message":{"role":"assistant","content":{{JsonSerializer.Serialize(reply)}},"tool_calls":null},"finish_reason":"stop"}],"usage":{{Usage}}}""";

    private static IEnumerable<string> Chunks(string model, string reply)
    {
        yield return Chunk("""{"role":"assistant","content":""}""", "null", "null");
        foreach (var piece in Cut(reply))
        {
            yield return Chunk($$"""{"content":{{JsonSerializer.Serialize(piece)}}}""", "null", "null");
        }

        yield return Chunk("""{"content":""}""", "\"stop\"", Usage);

        string Chunk(string delta, string finish, string usage) =>
            $$"""{"id":"chat_1","object":"chat.completion.chunk","created":1795341600,"model":"{{model}}","choices":[{"index":0,"delta":{{delta}},"finish_reason":{{finish}}}],"usage":{{usage}}}""";
    }
}
