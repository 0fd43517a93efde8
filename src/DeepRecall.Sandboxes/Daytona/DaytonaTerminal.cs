using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Daytona;

/// <summary>A terminal in a sandbox, over a WebSocket that is made anew when it breaks.</summary>
/// <remarks>
/// The service drops a client that lags behind, and discards what a terminal shows while nobody is connected. So a relay (relay.py) behind the terminal
/// writes no more than is acknowledged from here, and after a cut whoever uses the terminal is told, for bytes of either direction may be lost.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "Disposed asynchronously.")]
internal sealed partial class DaytonaTerminal : IAsyncDisposable
{
    private const int MaxMessage = 32 * 1024; // the service closes the connection on one of more than 64 KiB
    private const int AcknowledgeAfter = 32 * 1024; // a quarter of the relay's window
    private const int MaxControl = 16 * 1024;
    private const int MaxLastWords = 500;
    private const byte Mark = 6; // what the relay takes for its own: an acknowledgement; twice, it is itself
    private const int KillSignal = 9;
    private const string ExitControl = "X-Daytona-Pty-Exit-Control";

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan StableAfter = TimeSpan.FromSeconds(5);

    private readonly DaytonaClient _client;
    private readonly DaytonaMachine _machine;
    private readonly HttpMessageInvoker _invoker;
    private readonly Action _resumed;
    private readonly string _id = Guid.NewGuid().ToString("N");
    private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 0, useSynchronizationContext: false));
    private readonly CancellationTokenSource _stopping = new(); // holds nothing, and may be cancelled late: not disposed
    private readonly CancellationToken _stopped;
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly Queue<byte> _tail = new();
    private readonly TaskCompletionSource<SandboxExit> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource<ClientWebSocket?> _connection = NewConnection();
    private Task _running = Task.CompletedTask;
    private ClientWebSocket? _unannounced;
    private SandboxExit _stop = new(null, KillSignal);
    private volatile bool _relayed;

    public DaytonaTerminal(DaytonaClient client, DaytonaMachine machine, Action resumed)
    {
        _client = client;
        _machine = machine;
        _resumed = resumed;
        _invoker = new HttpMessageInvoker(client.Host.Handler, disposeHandler: false);
        _stopped = _stopping.Token;
        Output = _pipe.Reader.AsStream();
    }

    /// <summary>What the terminal shows, from its first byte. It ends with the terminal's program, and fails with the connection.</summary>
    public Stream Output { get; }

    /// <summary>How the program ended. It never fails.</summary>
    public Task<SandboxExit> Ended => _ended.Task;

    /// <summary>Starts a shell behind the terminal and connects to it.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        using (await _client.Http.SendAsync(
            "open a terminal",
            () =>
            {
                var request = _client.Request(HttpMethod.Post, new Uri(_machine.Toolbox, "process/pty"));
                request.Content = JsonContent.Create(new CreatePty(_id, 200, 50, LazyStart: true), DaytonaJson.Default.CreatePty);
                return request;
            },
            repeatable: true,
            cancellationToken,
            HttpStatusCode.Conflict).ConfigureAwait(false))
        {
            // A conflict is a repetition of the request whose first answer was lost.
        }

        var socket = await ConnectAsync(cancellationToken).ConfigureAwait(false);
        _running = RunAsync(socket);
    }

    /// <summary>
    /// From now on there is a relay behind the terminal: what arrives is acknowledged, and a broken connection is made anew. Before, it is the end
    /// of the terminal.
    /// </summary>
    public void BeginMessages() => _relayed = true;

    /// <summary>
    /// Writes to the terminal. What a cut leaves unsent of it is dropped, for what was sent of it may be lost: the user is told and sends it again.
    /// </summary>
    /// <exception cref="IOException">The terminal has ended.</exception>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var most = _relayed ? MaxMessage / 2 : MaxMessage;
        while (bytes.Length > 0)
        {
            var piece = bytes[..Math.Min(bytes.Length, most)];
            if (!await SendAsync(_relayed ? Escape(piece) : piece, cancellationToken).ConfigureAwait(false))
            {
                return;
            }

            bytes = bytes[piece.Length..];
        }
    }

    /// <summary>Ends the terminal here; its program is ended by whoever deletes the sandbox.</summary>
    public void Stop(SandboxExit exit)
    {
        _stop = exit;
        _stopping.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        await _pipe.Reader.CompleteAsync().ConfigureAwait(false);
        _invoker.Dispose();
    }

    // Piece by piece, and doubled in its piece, so that an acknowledgement may come between any two pieces.
    private static ReadOnlyMemory<byte> Escape(ReadOnlyMemory<byte> piece)
    {
        var marks = piece.Span.Count(Mark);
        if (marks == 0)
        {
            return piece;
        }

        var escaped = new byte[piece.Length + marks];
        var length = 0;
        foreach (var value in piece.Span)
        {
            escaped[length++] = value;
            if (value == Mark)
            {
                escaped[length++] = Mark;
            }
        }

        return escaped;
    }

    /// <summary>Sends one message.</summary>
    /// <returns><see langword="false"/> when a cut kept it, or a part of it, from being sent.</returns>
    private async Task<bool> SendAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var socket = await Volatile.Read(ref _connection).Task.WaitAsync(cancellationToken).ConfigureAwait(false)
                ?? throw new IOException("The terminal has ended.");
            if (Interlocked.CompareExchange(ref _unannounced, null, socket) == socket)
            {
                // Before all else on this connection. Line feeds end what was cut off: an acknowledgement, and a line.
                await socket.SendAsync("\n\n\u0006+\n"u8.ToArray(), WebSocketMessageType.Binary, WebSocketMessageFlags.EndOfMessage, _stopped).ConfigureAwait(false);
            }

            if (message.Length > 0)
            {
                await socket.SendAsync(message, WebSocketMessageType.Binary, WebSocketMessageFlags.EndOfMessage, _stopped).ConfigureAwait(false);
            }

            return true;
        }
        catch (Exception error) when (error is WebSocketException or ObjectDisposedException or InvalidOperationException || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // The receiving side sees the break too, and deals with it. (A send that it cuts off is cancelled, by the socket's own account.)
            return false;
        }
        finally
        {
            _sending.Release();
        }
    }

    private static TaskCompletionSource<ClientWebSocket?> NewConnection() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task RunAsync(ClientWebSocket first)
    {
        SandboxExit exit;
        Exception? failure = null;
        try
        {
            exit = await ReceiveAsync(first).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            exit = _stop;
        }
        catch (SandboxException error)
        {
            exit = new SandboxExit(null, null, error.Message);
            failure = error;
        }

        var ended = NewConnection();
        ended.SetResult(null);
        Interlocked.Exchange(ref _connection, ended).TrySetResult(null);
        await _pipe.Writer.CompleteAsync(failure).ConfigureAwait(false);
        _ended.TrySetResult(exit);
    }

    /// <summary>Receives, over as many connections as it takes, until the program has ended.</summary>
    private async Task<SandboxExit> ReceiveAsync(ClientWebSocket socket)
    {
        for (var failures = 0; ;)
        {
            var connected = _client.Host.Time.GetTimestamp();
            using (socket)
            {
                var exit = await ReceiveFromAsync(socket, resumed: failures > 0).ConfigureAwait(false);
                if (exit is not null)
                {
                    return exit;
                }

                // A connection that brings a little and breaks again is no good one: the waits go on growing.
                failures = _client.Host.Time.GetElapsedTime(connected) > StableAfter ? 1 : failures + 1;
            }

            if (!_relayed || failures > BackOff.Reconnects.Attempts)
            {
                throw _client.Errors.Failed(SandboxErrorKind.Connection, _relayed ? "hold the connection to the terminal" : "start the worker", "the connection was lost");
            }

            if (Volatile.Read(ref _connection).Task.IsCompleted)
            {
                Volatile.Write(ref _connection, NewConnection());
            }

            // What was cut off must not run into what comes next.
            await _pipe.Writer.WriteAsync("\n"u8.ToArray(), _stopped).ConfigureAwait(false);
            socket = await ReconnectAsync(failures - 1).ConfigureAwait(false);
        }
    }

    /// <summary>Receives from one connection until it breaks, or the program has ended.</summary>
    /// <returns>How the program ended, or <see langword="null"/> when the connection broke.</returns>
    private async Task<SandboxExit?> ReceiveFromAsync(ClientWebSocket socket, bool resumed)
    {
        var unacknowledged = 0;
        var control = new MemoryStream();
        while (true)
        {
            ValueWebSocketReceiveResult result;
            try
            {
                var buffer = _pipe.Writer.GetMemory(MaxMessage);
                result = await socket.ReceiveAsync(buffer, _stopped).ConfigureAwait(false);
                if (result.MessageType == WebSocketMessageType.Binary)
                {
                    Remember(buffer.Span[..result.Count]);
                    _pipe.Writer.Advance(result.Count);
                    await _pipe.Writer.FlushAsync(_stopped).ConfigureAwait(false);
                    unacknowledged += result.Count;
                    if (unacknowledged >= AcknowledgeAfter && _relayed)
                    {
                        _ = TellRelayAsync($"\u0006{unacknowledged}\n");
                        unacknowledged = 0;
                    }

                    continue;
                }

                if (result.MessageType == WebSocketMessageType.Text && control.Length < MaxControl)
                {
                    control.Write(buffer.Span[..result.Count]);
                }
            }
            catch (Exception error) when (error is WebSocketException or IOException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
            {
                _stopped.ThrowIfCancellationRequested();
                return null;
            }

            if (result.MessageType == WebSocketMessageType.Close)
            {
                return WithLastWords(ExitOf(Parse(socket.CloseStatusDescription)));
            }

            if (result.EndOfMessage)
            {
                var message = Parse(control.ToArray());
                control.SetLength(0);
                switch (message?.Status)
                {
                    case "connected":
                        Volatile.Write(ref _unannounced, resumed ? socket : null);
                        if (Volatile.Read(ref _connection).TrySetResult(socket) && resumed)
                        {
                            _ = TellRelayAsync(string.Empty);
                            _resumed();
                        }

                        break;
                    case "exited":
                        return WithLastWords(ExitOf(message)) ?? new SandboxExit(null);
                    case "error":
                        return new SandboxExit(null, null, _client.Errors.Redact($"the sandbox says: {message.Error ?? "there is no such terminal any more"}"));
                }
            }
        }
    }

    private void Remember(ReadOnlySpan<byte> received)
    {
        foreach (var value in received[Math.Max(0, received.Length - MaxLastWords)..])
        {
            if (_tail.Count == MaxLastWords)
            {
                _tail.Dequeue();
            }

            _tail.Enqueue(value);
        }
    }

    // The program's standard error is the terminal too: what it says last, when it fails, is no message but a line that tells why. A shell says
    // a word of its own behind it.
    private SandboxExit? WithLastWords(SandboxExit? exit)
    {
        if (exit is null or { ExitCode: 0 })
        {
            return exit;
        }

        var last = ControlSequences().Replace(Encoding.UTF8.GetString([.. _tail]), string.Empty).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .LastOrDefault(line => line is not ("logout" or "exit"));
        return last is null || last.StartsWith('{') || last.EndsWith('}') ? exit : exit with { Detail = exit.Detail ?? _client.Errors.Redact(last) };
    }

    private async Task TellRelayAsync(string line)
    {
        try
        {
            await SendAsync(Encoding.ASCII.GetBytes(line), _stopped).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The terminal has ended.
        }
    }

    private async Task<ClientWebSocket> ReconnectAsync(int failures)
    {
        for (var attempt = failures; ; attempt++)
        {
            if (attempt > 0)
            {
                await Task.Delay(BackOff.Reconnects.WaitAfter(attempt - 1), _client.Host.Time, _stopped).ConfigureAwait(false);
            }

            try
            {
                return await ConnectAsync(_stopped).ConfigureAwait(false);
            }
            catch (SandboxException error) when (attempt + 1 < BackOff.Reconnects.Attempts && error.Kind is SandboxErrorKind.Connection or SandboxErrorKind.Server or SandboxErrorKind.Timeout or SandboxErrorKind.RateLimit)
            {
                // Again, after a longer wait.
            }
        }
    }

    /// <exception cref="SandboxException">It could not be connected to.</exception>
    private async Task<ClientWebSocket> ConnectAsync(CancellationToken cancellationToken)
    {
        const string Action = "connect to the terminal";
        var address = new Uri(_machine.Toolbox, $"process/pty/{_id}/connect");
        using var timeout = new CancellationTokenSource(ConnectTimeout, _client.Host.Time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        var socket = new ClientWebSocket();
        try
        {
            foreach (var (name, value) in _client.Headers)
            {
                socket.Options.SetRequestHeader(name, value);
            }

            socket.Options.AddSubProtocol(ExitControl);
            socket.Options.CollectHttpResponseDetails = true;
            socket.Options.KeepAliveInterval = TimeSpan.FromSeconds(20);
            socket.Options.KeepAliveTimeout = TimeSpan.FromSeconds(20);
            await socket.ConnectAsync(new UriBuilder(address) { Scheme = address.Scheme == Uri.UriSchemeHttps ? Uri.UriSchemeWss : Uri.UriSchemeWs }.Uri, _invoker, linked.Token).ConfigureAwait(false);
            return socket;
        }
        catch (Exception error)
        {
            var status = socket.HttpStatusCode;
            socket.Dispose();
            if (error is OperationCanceledException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                throw _client.Errors.Failed(SandboxErrorKind.Timeout, Action, $"no answer within {ConnectTimeout.TotalSeconds:0} seconds", error);
            }

            if (error is WebSocketException or HttpRequestException or IOException)
            {
                throw (int)status >= 400
                    ? _client.Errors.Refused(Action, status, string.Empty)
                    : _client.Errors.Failed(SandboxErrorKind.Connection, Action, error.Message, error);
            }

            throw;
        }
    }

    [GeneratedRegex(@"\x1b\[[0-9;?]*[A-Za-z]")]
    private static partial Regex ControlSequences();

    private static PtyControl? Parse(string? text) => text is null ? null : Parse(Encoding.UTF8.GetBytes(text));

    private static PtyControl? Parse(byte[] text)
    {
        try
        {
            return JsonSerializer.Deserialize(text, DaytonaJson.Default.PtyControl);
        }
        catch (JsonException)
        {
            return null; // a text of a proxy's, or of a later version's
        }
    }

    /// <summary>An exit as a shell tells it: a signal is 128 and its number.</summary>
    private static SandboxExit? ExitOf(PtyControl? message) => message?.ExitCode switch
    {
        null => null,
        > 128 and < 128 + 65 and var code => new SandboxExit(null, code - 128),
        < 0 => new SandboxExit(null, null, message.ExitReason),
        var code => new SandboxExit(code),
    };
}
