using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Connect;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.E2B;

/// <summary>One sandbox of E2B: its processes and files through envd, and its time, which is extended until it is deleted.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has no timer and no handle; it is cancelled at the end.")]
internal sealed partial class E2BService : IProcessService
{
    /// <summary>Where the worker and uploads are, below the user's home; envd answers with the whole path.</summary>
    private const string Directory = "deeprecall";
    private const string EnvdPort = "49983";
    private static readonly Version OctetStreamUploads = new(0, 5, 7);
    private static readonly string[] RoutedDomains = ["e2b.app", "e2b.dev", "e2b.pro", "e2b-staging.dev"];

    // The server tells that it lives when the process says nothing for so many seconds.
    private static readonly Dictionary<string, string> StreamHeaders = new(StringComparer.Ordinal) { ["Keepalive-Ping-Interval"] = "50" };

    private static readonly ConnectMethod<EnvdStart, EnvdResponse> Start = ConnectMethod.Json("process.Process/Start", E2BJson.Default.EnvdStart, E2BJson.Default.EnvdResponse);
    private static readonly ConnectMethod<EnvdConnect, EnvdResponse> Connect = ConnectMethod.Json("process.Process/Connect", E2BJson.Default.EnvdConnect, E2BJson.Default.EnvdResponse);
    private static readonly ConnectMethod<EnvdSendInput, EnvdEmpty> SendInput = ConnectMethod.Json("process.Process/SendInput", E2BJson.Default.EnvdSendInput, E2BJson.Default.EnvdEmpty);

    private readonly E2BClient _client;
    private readonly E2BCreated _created;
    private readonly CloudHost _host;
    private readonly Uri _envd;
    private readonly CloudHttp _http;
    private readonly ConnectClient _connect;
    private readonly CancellationTokenSource _deleting = new();
    private readonly Lazy<Task> _delete;

    public E2BService(E2BSettings settings, E2BClient client, E2BCreated created, CloudHost host)
    {
        _client = client;
        _created = created;
        _host = host;
        _envd = AddressOf(settings, created);
        Errors = new CloudErrors("E2B", _ => null, settings.ApiKey, created.EnvdAccessToken);
        _http = new CloudHttp(host, Errors);
        _connect = new ConnectClient(host.Handler, _envd, (request, _, _) =>
        {
            Authorize(request);
            return ValueTask.CompletedTask;
        });
        _delete = new Lazy<Task>(DeleteOnceAsync);
        _ = ExtendAsync(settings.Timeout / 3);
    }

    public string Display => $"the E2B sandbox {_created.SandboxId}";

    public int InputChunk => 1 << 20;

    public CloudErrors Errors { get; }

    public static Uri AddressOf(E2BSettings settings, E2BCreated created)
    {
        var domain = CloudOptions.Blank(created.Domain) ?? settings.Domain;
        var address = RoutedDomains.Contains(domain) ? $"https://sandbox.{domain}" : $"https://{EnvdPort}-{created.SandboxId}.{domain}";
        return settings.SandboxUrl ?? (Uri.TryCreate(address, UriKind.Absolute, out var uri) ? uri : throw new SandboxException($"E2B says that its sandbox is at '{address}', which is no address.") { Kind = SandboxErrorKind.Server });
    }

    public IAsyncEnumerable<ProcessEvent> StartAsync(ProcessCommand command, bool again, CancellationToken cancellationToken)
    {
        var request = new EnvdStart(new EnvdProcessConfig(command.Command, command.Arguments, command.Directory), command.Stdin, command.Id);
        return again && command.Id is { } id
            ? AttachOrStartAsync(id, request, cancellationToken)
            : EventsAsync(_connect.StreamAsync(Start, request, StreamHeaders, cancellationToken), cancellationToken);
    }

    public IAsyncEnumerable<ProcessEvent> AttachAsync(uint pid, CancellationToken cancellationToken) =>
        EventsAsync(_connect.StreamAsync(Connect, new EnvdConnect(new EnvdSelector(pid)), StreamHeaders, cancellationToken), cancellationToken);

    public Task SendInputAsync(uint pid, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        _connect.CallAsync(SendInput, new EnvdSendInput(new EnvdSelector(pid), new EnvdInput(bytes)), cancellationToken);

    public async Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        const string Action = "upload a file";
        using var callback = new CallbackContent(write);
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{_envd.AbsoluteUri.TrimEnd('/')}/files?path={Uri.EscapeDataString($"{Directory}/{name}")}");
        Authorize(request);
        request.Headers.TransferEncodingChunked = true;
        if (Version.TryParse(_created.EnvdVersion, out var version) && version < OctetStreamUploads)
        {
            request.Content = new MultipartFormDataContent { { callback, "file", name } };
        }
        else
        {
            callback.Headers.ContentType = new("application/octet-stream");
            request.Content = callback;
        }

        try
        {
            using var response = await _http.SendOnceAsync(request, cancellationToken).ConfigureAwait(false);
            await _http.ThrowIfRefusedAsync(Action, response, cancellationToken).ConfigureAwait(false);
            var body = await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
            return JsonSerializer.Deserialize(body, E2BJson.Default.IReadOnlyListE2BFile) is [{ Path: { } path }, ..]
                ? path
                : throw Errors.Failed(SandboxErrorKind.Other, Action, "the answer does not tell the file's path");
        }
        catch (Exception error) when (callback.Failure is not null && error is HttpRequestException or IOException)
        {
            ExceptionDispatchInfo.Throw(callback.Failure); // the source's own failure, and not one of the connection
            throw;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException)
        {
            throw Errors.Failed(SandboxErrorKind.Connection, Action, error.Message, error);
        }
    }

    public async Task<bool> IsGoneAsync(CancellationToken cancellationToken)
    {
        try
        {
            return !await _client.ExistsAsync(_created.SandboxId, cancellationToken).ConfigureAwait(false);
        }
        catch (SandboxException)
        {
            return false; // not known
        }
    }

    public Task DeleteAsync() => _delete.Value;

    private static async IAsyncEnumerable<ProcessEvent> EventsAsync(IAsyncEnumerable<EnvdResponse> responses, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var response in responses.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            yield return response.Event switch
            {
                { Start: { } start } => new ProcessEvent(ProcessEventKind.Started, Pid: start.Pid),
                { Data.Stdout: { } output } => new ProcessEvent(ProcessEventKind.Output, Data: output),
                { Data.Stderr: { } error } => new ProcessEvent(ProcessEventKind.Error, Data: error),
                { End: { } end } => new ProcessEvent(ProcessEventKind.Ended, Exit: ProcessExits.Read(end.ExitCode, end.Exited, end.Status, end.Error)),
                _ => default,
            };
        }
    }

    private async IAsyncEnumerable<ProcessEvent> AttachOrStartAsync(string id, EnvdStart request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var attached = EventsAsync(_connect.StreamAsync(Connect, new EnvdConnect(new EnvdSelector(Tag: id)), StreamHeaders, cancellationToken), cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using (attached.ConfigureAwait(false))
        {
            var found = false;
            try
            {
                found = await attached.MoveNextAsync().ConfigureAwait(false);
            }
            catch (ConnectException error) when (error.Code == ConnectException.NotFound)
            {
                // It was never started.
            }

            while (found)
            {
                yield return attached.Current;
                if (!await attached.MoveNextAsync().ConfigureAwait(false))
                {
                    yield break;
                }
            }
        }

        await foreach (var happened in EventsAsync(_connect.StreamAsync(Start, request, StreamHeaders, cancellationToken), cancellationToken).ConfigureAwait(false))
        {
            yield return happened;
        }
    }

    private void Authorize(HttpRequestMessage request)
    {
        request.Headers.TryAddWithoutValidation("E2b-Sandbox-Id", _created.SandboxId);
        request.Headers.TryAddWithoutValidation("E2b-Sandbox-Port", EnvdPort);
        if (_created.EnvdAccessToken is { } token)
        {
            request.Headers.TryAddWithoutValidation("X-Access-Token", token);
        }
    }

    private async Task ExtendAsync(TimeSpan interval)
    {
        using var timer = new PeriodicTimer(interval, _host.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(_deleting.Token).ConfigureAwait(false))
            {
                try
                {
                    await _client.ExtendAsync(_created.SandboxId, _deleting.Token).ConfigureAwait(false);
                }
                catch (SandboxException error)
                {
                    LogExtendFailed(_host.Logger, _created.SandboxId, error.Message);
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private async Task DeleteOnceAsync()
    {
        await _deleting.CancelAsync().ConfigureAwait(false);
        await _client.DiscardAsync(_created.SandboxId).ConfigureAwait(false);
    }

    [LoggerMessage(43, LogLevel.Warning, "The time of the E2B sandbox {SandboxId} could not be extended: {Reason}")]
    private static partial void LogExtendFailed(ILogger logger, string sandboxId, string reason);
}
