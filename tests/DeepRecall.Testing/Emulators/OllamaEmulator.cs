using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators;

/// <summary>An Ollama server: <c>POST /api/chat</c>, streamed as lines of JSON unless the request says no.</summary>
public sealed class OllamaEmulator : ProviderEmulator
{
    protected override async Task AnswerAsync(HttpContext context, EmulatedRequest request, Fault? fault)
    {
        var model = request.Json.GetProperty("model").GetString()!;
        var reply = fault?.Kind == FaultKind.Empty ? string.Empty : Reply(request);
        if (request.Json.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.False)
        {
            await WriteJsonAsync(context, Raw(request)?[0] ?? Last(model, reply), fault);
            return;
        }

        foreach (var data in Raw(request) ?? [.. Cut(reply).Select(piece => Piece(model, piece)), Last(model, string.Empty)])
        {
            await WriteLineAsync(context, data, fault);
        }
    }

    protected override string ErrorBody(int status, string message) => $$"""{"error":{{JsonSerializer.Serialize(message)}}}""";

    private static string Piece(string model, string text) =>
        $$"""{"model":"{{model}}","created_at":"2026-11-22T10:00:00.123456Z","message":{"role":"assistant","content":{{JsonSerializer.Serialize(text)}}},"done":false}""";

    private static string Last(string model, string text) =>
        $$"""{"model":"{{model}}","created_at":"2026-11-22T10:00:01.123456Z","message":{"role":"assistant","content":{{JsonSerializer.Serialize(text)}}},"done":true,"done_reason":"stop","total_duration":4353619900,"load_duration":63915300,"prompt_eval_count":100,"prompt_eval_duration":246847000,"eval_count":20,"eval_duration":4032296000}""";
}
