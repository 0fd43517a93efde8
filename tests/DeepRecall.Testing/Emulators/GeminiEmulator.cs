using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators;

/// <summary>Google's Gemini: <c>POST /v1beta/models/{model}:generateContent</c> and <c>:streamGenerateContent?alt=sse</c>.</summary>
public sealed class GeminiEmulator : ProviderEmulator
{
    protected override async Task AnswerAsync(HttpContext context, EmulatedRequest request, Fault? fault)
    {
        var reply = fault?.Kind == FaultKind.Empty ? string.Empty : Reply(request);
        var model = request.Path.Split('/', ':')[^2];
        if (request.Path.EndsWith(":generateContent", StringComparison.Ordinal))
        {
            await WriteJsonAsync(context, Raw(request)?[0] ?? Answer(model, reply, finish: "STOP", output: 15), fault);
            return;
        }

        foreach (var data in Raw(request) ?? [.. Events(model, reply)])
        {
            await WriteEventAsync(context, data, fault);
        }
    }

    protected override string ErrorBody(int status, string message)
    {
        var name = status switch
        {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            _ => "INTERNAL",
        };
        return $$$"""{"error":{"code":{{{status}}},"message":{{{JsonSerializer.Serialize(message)}}},"status":"{{{name}}}"}}""";
    }

    private static IEnumerable<string> Events(string model, string reply)
    {
        // Every event tells the usage so far.
        var output = 1;
        foreach (var piece in Cut(reply))
        {
            yield return Answer(model, piece, finish: null, output++);
        }

        yield return Answer(model, string.Empty, finish: "STOP", output: 15);
    }

    private static string Answer(string model, string text, string? finish, int output)
    {
        var parts = text.Length == 0 ? "[]" : $$"""[{"text":{{JsonSerializer.Serialize(text)}}}]""";
        var finished = finish is null ? string.Empty : $"\"finishReason\":\"{finish}\",";
        return $$$"""{"candidates":[{"content":{"parts":{{{parts}}},"role":"model"},{{{finished}}}"index":0}],"usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":{{{output}}},"totalTokenCount":{{{105 + output}}},"cachedContentTokenCount":40,"promptTokensDetails":[{"modality":"TEXT","tokenCount":100}],"thoughtsTokenCount":5},"modelVersion":"{{{model}}}-001","responseId":"resp_1"}""";
    }
}
