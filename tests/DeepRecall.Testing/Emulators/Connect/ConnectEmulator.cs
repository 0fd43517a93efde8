using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using DeepRecall.Sandboxes.Connect;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Testing.Emulators.Connect;

/// <summary>A sandbox vendor's API on loopback: control API, data plane and Connect process service on one port.</summary>
public abstract class ConnectEmulator : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<EmulatedRequest> _requests = new();
    private readonly List<(Func<EmulatedRequest, bool> Which, Fault Fault)> _failures = [];
    private readonly Lock _lock = new();

    protected ConnectEmulator(int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.Listen(IPAddress.Loopback, port);
            options.Limits.MaxRequestBodySize = null;
            options.Limits.MinRequestBodyDataRate = null;
            options.Limits.MinResponseDataRate = null;
        });
        _app = builder.Build();
        _app.Run(HandleAsync);
    }

    /// <summary>The address of the server, without a slash at its end.</summary>
    public string Url => _app.Urls.First();

    /// <summary>Every request so far, in order; bodies of files and of Connect calls are left out.</summary>
    public IReadOnlyList<EmulatedRequest> Requests => [.. _requests];

    /// <summary>What goes wrong between processes and the client.</summary>
    public ProcessFaults Faults { get; } = new();

    public Task StartAsync() => _app.StartAsync();

    /// <summary>Lets the next request that is one of these fail, before anything is done.</summary>
    public void FailNext(Func<EmulatedRequest, bool> which, Fault fault)
    {
        lock (_lock)
        {
            _failures.Add((which, fault));
        }
    }

    public async ValueTask DisposeAsync()
    {
        Faults.DropStreams();
        await DeleteAllAsync();
        using (var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1)))
        {
            await _app.StopAsync(limit.Token);
        }

        await _app.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Deletes every sandbox.</summary>
    public abstract Task DeleteAllAsync();

    protected abstract Task RouteAsync(HttpContext context, EmulatedRequest request);

    /// <summary>An error body in the vendor's form.</summary>
    protected abstract string ErrorBody(int status, string message);

    protected Task FailAsync(HttpContext context, int status, string message, string? body = null)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(body ?? ErrorBody(status, message), context.RequestAborted);
    }

    protected static Task WriteJsonAsync(HttpContext context, JsonNode body, int status = 200)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(body.ToJsonString(), context.RequestAborted);
    }

    /// <summary>Answers a call of a Connect method with one message.</summary>
    protected static async Task AnswerAsync(HttpContext context, Func<byte[], Task<byte[]>> call)
    {
        try
        {
            var answer = await call(await BodyAsync(context));
            context.Response.ContentType = context.Request.ContentType;
            await context.Response.Body.WriteAsync(answer, context.RequestAborted);
        }
        catch (ConnectException error)
        {
            await WriteJsonAsync(context, new JsonObject { ["code"] = error.Code, ["message"] = error.Message }, (int)error.Status);
        }
    }

    /// <summary>Answers a call of a Connect method with the events of a process, until it ends or the client goes.</summary>
    private protected async Task StreamAsync(
        HttpContext context,
        Func<byte[], (EmulatedProcess Process, ChannelReader<ProcessEvent> Events)> open,
        Func<ProcessEvent, byte[]> write)
    {
        context.Response.ContentType = context.Request.ContentType;
        var cut = new ProcessFaults.StreamCut(context.Abort);
        Faults.Open(cut);
        try
        {
            var (process, events) = open(Unwrap(await BodyAsync(context)));
            using var deadline = DeadlineOf(context, process);
            try
            {
                await PumpAsync(context, cut, events, write);
            }
            finally
            {
                process.Unsubscribe(events);
            }

            await WriteEnvelopeAsync(context, cut, EnvelopeReader.Wrap("{}"u8, isEnd: true));
        }
        catch (ConnectException error)
        {
            var end = new JsonObject { ["error"] = new JsonObject { ["code"] = error.Code, ["message"] = error.Message } };
            await WriteEnvelopeAsync(context, cut, EnvelopeReader.Wrap(Encoding.UTF8.GetBytes(end.ToJsonString()), isEnd: true));
        }
        finally
        {
            Faults.Close(cut);
        }
    }

    /// <summary>Writes input to a process, with the faults that are due.</summary>
    private protected async Task WriteInputAsync(HttpContext context, EmulatedProcess process, ReadOnlyMemory<byte> bytes)
    {
        var fault = Faults.NextInput();
        try
        {
            await process.WriteAsync(fault is null ? bytes : bytes[..Math.Min(bytes.Length, fault.BytesWritten)], context.RequestAborted);
        }
        catch (IOException error)
        {
            throw new ConnectException("internal", $"error writing to stdin: {error.Message}");
        }

        if (fault is { Answer: { } code })
        {
            throw new ConnectException(code, "injected");
        }

        if (fault is not null)
        {
            context.Abort();
            throw new OperationCanceledException("cut");
        }
    }

    protected static async Task<byte[]> BodyAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        return body.ToArray();
    }

    protected static byte[] Unwrap(byte[] envelope) => envelope.Length >= EnvelopeReader.HeaderLength && envelope[0] == 0
        ? envelope[EnvelopeReader.HeaderLength..]
        : throw new ConnectException("invalid_argument", "a stream's request is one envelope");

    private static Timer? DeadlineOf(HttpContext context, EmulatedProcess process) =>
        int.TryParse(context.Request.Headers["Connect-Timeout-Ms"], out var milliseconds)
            ? new Timer(_ => process.Signal(9), null, milliseconds, Timeout.Infinite)
            : null;

    private async Task PumpAsync(HttpContext context, ProcessFaults.StreamCut cut, ChannelReader<ProcessEvent> events, Func<ProcessEvent, byte[]> write)
    {
        var asked = int.TryParse(context.Request.Headers["Keepalive-Ping-Interval"], out var seconds) ? seconds : 90;
        while (true)
        {
            ProcessEvent happened;
            if (!events.TryRead(out happened))
            {
                using var idle = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
                idle.CancelAfter(Faults.KeepAlive ?? TimeSpan.FromSeconds(asked));
                try
                {
                    if (!await events.WaitToReadAsync(idle.Token))
                    {
                        return;
                    }

                    continue;
                }
                catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
                {
                    happened = default;
                }
            }

            await WriteEnvelopeAsync(context, cut, EnvelopeReader.Wrap(write(happened)));
        }
    }

    private async Task WriteEnvelopeAsync(HttpContext context, ProcessFaults.StreamCut cut, byte[] envelope)
    {
        if (Faults.Delay > TimeSpan.Zero)
        {
            await Task.Delay(Faults.Delay, context.RequestAborted);
        }

        var passed = Faults.BytesBeforeCut(cut, envelope.Length);
        await context.Response.Body.WriteAsync(envelope.AsMemory(0, passed ?? envelope.Length), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        if (passed is not null)
        {
            context.Abort();
            throw new OperationCanceledException("cut");
        }
    }

    private async Task HandleAsync(HttpContext context)
    {
        try
        {
            var request = await RecordAsync(context);
            if (Faults.IsDown)
            {
                context.Abort();
                return;
            }

            if (Faults.Delay > TimeSpan.Zero)
            {
                await Task.Delay(Faults.Delay, context.RequestAborted);
            }

            if (!await FailAsync(context, request))
            {
                await RouteAsync(context, request);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or IOException or BadHttpRequestException)
        {
            // The client went away, or the connection was cut on purpose.
        }
        catch (Exception error) when (error is ArgumentException or JsonException or KeyNotFoundException or InvalidOperationException && !context.Response.HasStarted)
        {
            await FailAsync(context, 400, error.Message);
        }
    }

    private async Task<EmulatedRequest> RecordAsync(HttpContext context)
    {
        var text = string.Empty;
        if (context.Request.ContentType?.StartsWith("application/json", StringComparison.Ordinal) == true && !context.Request.Headers.ContainsKey("Connect-Protocol-Version"))
        {
            using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
            text = await reader.ReadToEndAsync(context.RequestAborted);
        }

        var request = new EmulatedRequest(
            context.Request.Method,
            context.Request.Path,
            context.Request.QueryString.Value ?? string.Empty,
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            text);
        _requests.Enqueue(request);
        return request;
    }

    private async Task<bool> FailAsync(HttpContext context, EmulatedRequest request)
    {
        Fault? fault;
        lock (_lock)
        {
            var index = _failures.FindIndex(entry => entry.Which(request));
            fault = index < 0 ? null : _failures[index].Fault;
            if (index >= 0)
            {
                _failures.RemoveAt(index);
            }
        }

        switch (fault?.Kind)
        {
            case null:
                return false;
            case FaultKind.Slow:
                await Task.Delay(fault.Delay, context.RequestAborted);
                return false;
            case FaultKind.CutAfterHeaders:
                // What was asked for is done, and the answer is lost.
                context.Response.Body = Stream.Null;
                await RouteAsync(context, request);
                context.Abort();
                return true;
            case FaultKind.CutConnection:
                context.Abort();
                return true;
            case FaultKind.Malformed:
                context.Response.ContentType = "application/json";
                await context.Response.WriteAsync("{ \"this is\": not JSON", context.RequestAborted);
                return true;
            default:
                if (fault.RetryAfter is { } wait)
                {
                    context.Response.Headers.RetryAfter = wait;
                }

                await FailAsync(context, fault.Status, fault.Message, fault.Body);
                return true;
        }
    }
}
