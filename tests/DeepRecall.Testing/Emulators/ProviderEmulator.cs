using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Testing.Emulators;

/// <summary>An LLM provider's API on loopback: it asserts nothing by itself, records every request, answers in the provider's form, and can be told to fail.</summary>
public abstract class ProviderEmulator : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<EmulatedRequest> _requests = new();
    private readonly ConcurrentQueue<Fault> _faults = new();

    protected ProviderEmulator()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0));
        _app = builder.Build();
        _app.Run(HandleAsync);
    }

    /// <summary>The address of the server, without a slash at its end.</summary>
    public string Url => _app.Urls.First();

    /// <summary>Every request so far, in order.</summary>
    public IReadOnlyList<EmulatedRequest> Requests => [.. _requests];

    /// <summary>What the model replies: a function of the request's body. Set before the first request.</summary>
    public Func<EmulatedRequest, string> Reply { get; set; } = _ => "ok";

    /// <summary>
    /// Where it is set, and gives something, an answer in the provider's own form in place of one made of <see cref="Reply"/>: the pieces of
    /// a stream, of which a request that asks for none gets the first.
    /// </summary>
    public Func<EmulatedRequest, IReadOnlyList<string>?> Raw { get; set; } = _ => null;

    /// <summary>Headers that every answer carries.</summary>
    public IDictionary<string, string> ResponseHeaders { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    public Task StartAsync() => _app.StartAsync();

    /// <summary>Lets the next request that has no fault yet fail in this way.</summary>
    public void FailNext(Fault fault) => _faults.Enqueue(fault);

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Answers a request in the provider's form, streamed or not as the request asks.</summary>
    protected abstract Task AnswerAsync(HttpContext context, EmulatedRequest request, Fault? fault);

    /// <summary>An error body in the provider's form.</summary>
    protected abstract string ErrorBody(int status, string message);

    /// <summary>Cuts a reply into the pieces of a stream.</summary>
    protected static IEnumerable<string> Cut(string text) => text.Chunk(16).Select(piece => new string(piece));

    /// <summary>Writes one server-sent event; with a <see cref="FaultKind.CutStream"/> the connection breaks after the first one.</summary>
    protected static Task WriteEventAsync(HttpContext context, string data, Fault? fault, string? name = null) =>
        WritePieceAsync(context, "text/event-stream", name is null ? $"data: {data}\n\n" : $"event: {name}\ndata: {data}\n\n", fault);

    /// <summary>Writes one line of JSON lines; with a <see cref="FaultKind.CutStream"/> the connection breaks after the first one.</summary>
    protected static Task WriteLineAsync(HttpContext context, string data, Fault? fault) =>
        WritePieceAsync(context, "application/x-ndjson", $"{data}\n", fault);

    /// <summary>Writes a whole answer; with a <see cref="FaultKind.CutStream"/> the connection breaks in the middle of it.</summary>
    protected static async Task WriteJsonAsync(HttpContext context, string json, Fault? fault)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = bytes.Length;
        var length = fault?.Kind == FaultKind.CutStream ? bytes.Length / 2 : bytes.Length;
        await context.Response.Body.WriteAsync(bytes.AsMemory(0, length), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        if (length < bytes.Length)
        {
            context.Abort();
        }
    }

    private static async Task WritePieceAsync(HttpContext context, string type, string text, Fault? fault)
    {
        context.Response.ContentType ??= type;
        await context.Response.WriteAsync(text, context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        if (fault?.Kind == FaultKind.CutStream)
        {
            await fault.When.WaitAsync(TimeSpan.FromMinutes(1), context.RequestAborted);
            context.Abort();
            throw new OperationCanceledException("cut");
        }
    }

    private async Task HandleAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var request = new EmulatedRequest(
            context.Request.Method,
            context.Request.Path,
            context.Request.QueryString.Value ?? string.Empty,
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            await reader.ReadToEndAsync(context.RequestAborted));
        _requests.Enqueue(request);
        foreach (var (name, value) in ResponseHeaders)
        {
            context.Response.Headers[name] = value;
        }

        _faults.TryDequeue(out var fault);
        try
        {
            switch (fault?.Kind)
            {
                case FaultKind.Status:
                    context.Response.StatusCode = fault.Status;
                    if (fault.RetryAfter is { } wait)
                    {
                        context.Response.Headers.RetryAfter = wait;
                    }

                    context.Response.ContentType = "application/json";
                    await context.Response.WriteAsync(fault.Body ?? ErrorBody(fault.Status, fault.Message), context.RequestAborted);
                    return;
                case FaultKind.Malformed:
                    context.Response.ContentType = "application/json";
                    await context.Response.WriteAsync("{ \"this is\": not JSON", context.RequestAborted);
                    return;
                case FaultKind.CutConnection:
                    context.Features.Get<IHttpRequestLifetimeFeature>()!.Abort();
                    return;
                case FaultKind.Slow:
                    await Task.Delay(fault.Delay, context.RequestAborted);
                    break;
            }

            await AnswerAsync(context, request, fault);
        }
        catch (OperationCanceledException)
        {
            // The client went away, or the stream was cut on purpose.
        }
    }
}

/// <summary>A request as it came over the wire.</summary>
public sealed record EmulatedRequest(string Method, string Path, string Query, IReadOnlyDictionary<string, string> Headers, string Body)
{
    /// <summary>The body as JSON.</summary>
    public System.Text.Json.JsonElement Json => System.Text.Json.JsonElement.Parse(Body);
}

/// <summary>How a request fails.</summary>
public enum FaultKind
{
    /// <summary>With a status and an error body.</summary>
    Status,

    /// <summary>With a body that is not JSON.</summary>
    Malformed,

    /// <summary>With a connection that breaks before any byte.</summary>
    CutConnection,

    /// <summary>With a stream that breaks after its first event.</summary>
    CutStream,

    /// <summary>With the headers of an answer, and a connection that breaks before its body.</summary>
    CutAfterHeaders,

    /// <summary>With the fault's body as an event of the stream, after its first content.</summary>
    ErrorInStream,

    /// <summary>Not at all, but late.</summary>
    Slow,

    /// <summary>With a stream that stops after its first content for the fault's delay.</summary>
    Stall,

    /// <summary>With an answer that holds no text.</summary>
    Empty,
}

/// <summary>A failure to inject.</summary>
public sealed record Fault(FaultKind Kind)
{
    public int Status { get; init; } = 500;

    public string Message { get; init; } = "injected";

    public string? Body { get; init; }

    public string? RetryAfter { get; init; }

    public TimeSpan Delay { get; init; }

    /// <summary>What a stream waits for before it is cut; else the break can overtake the event before it.</summary>
    public Task When { get; init; } = Task.CompletedTask;
}
