using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Testing;

/// <summary>A server on loopback that speaks as much of OpenAI's chat completions as a run needs, streamed and whole.</summary>
public sealed class FakeOpenAI : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Func<FakeRequest, CancellationToken, Task<string?>> _reply;

    private FakeOpenAI(Func<FakeRequest, CancellationToken, Task<string?>> reply)
    {
        _reply = reply;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapPost("/v1/chat/completions", CompleteAsync);
    }

    public ConcurrentQueue<FakeRequest> Requests { get; } = new();

    public string BaseUrl => _app.Urls.Single() + "/v1";

    /// <param name="reply">The reply to a request; <see langword="null"/> is an error 401 that repeats the key, as some servers do.</param>
    public static Task<FakeOpenAI> StartAsync(Func<FakeRequest, string?> reply) => StartAsync((request, _) => Task.FromResult(reply(request)));

    /// <param name="reply">The reply to a request, which may take its time until the caller hangs up.</param>
    public static async Task<FakeOpenAI> StartAsync(Func<FakeRequest, CancellationToken, Task<string?>> reply)
    {
        var server = new FakeOpenAI(reply);
        await server._app.StartAsync();
        return server;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task CompleteAsync(HttpContext http)
    {
        using var body = await JsonDocument.ParseAsync(http.Request.Body);
        var root = body.RootElement;
        var request = new FakeRequest(
            http.Request.Headers.Authorization.ToString(),
            root.GetProperty("model").GetString()!,
            root.TryGetProperty("stream", out var stream) && stream.GetBoolean(),
            [.. root.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("role").GetString()!)]);
        Requests.Enqueue(request);
        if (await _reply(request, http.RequestAborted) is not { } reply)
        {
            http.Response.StatusCode = 401;
            await http.Response.WriteAsJsonAsync(new { error = new { message = $"wrong key: {request.Authorization}", type = "invalid_request_error", code = "invalid_api_key" } });
        }
        else if (request.IsStreamed)
        {
            await StreamAsync(http.Response, request.Model, reply);
        }
        else
        {
            await http.Response.WriteAsJsonAsync(new
            {
                id = "chatcmpl-1",
                @object = "chat.completion",
                created = 1,
                model = request.Model,
                choices = new[] { new { index = 0, message = new { role = "assistant", content = reply }, finish_reason = "stop" } },
                usage = Usage,
            });
        }
    }

    private static readonly object Usage = new { prompt_tokens = 1000, completion_tokens = 100, total_tokens = 1100 };

    private static async Task StreamAsync(HttpResponse response, string model, string reply)
    {
        response.ContentType = "text/event-stream";
        foreach (var piece in reply.Chunk(5))
        {
            await SendAsync(new { choices = new[] { new { index = 0, delta = new { role = "assistant", content = new string(piece) }, finish_reason = (string?)null } } });
        }

        await SendAsync(new { choices = new[] { new { index = 0, delta = new { }, finish_reason = "stop" } } });
        await SendAsync(new { choices = Array.Empty<object>(), usage = Usage });
        await response.WriteAsync("data: [DONE]\n\n");

        async Task SendAsync(object fields)
        {
            var chunk = JsonSerializer.SerializeToNode(fields)!.AsObject();
            chunk["id"] = "chatcmpl-1";
            chunk["object"] = "chat.completion.chunk";
            chunk["created"] = 1;
            chunk["model"] = model;
            await response.WriteAsync($"data: {chunk.ToJsonString()}\n\n");
            await response.Body.FlushAsync();
        }
    }
}

/// <summary>What the server was sent.</summary>
public sealed record FakeRequest(string Authorization, string Model, bool IsStreamed, IReadOnlyList<string> Roles);
