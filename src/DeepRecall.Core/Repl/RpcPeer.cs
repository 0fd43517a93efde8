using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DeepRecall.Sandboxing;

namespace DeepRecall.Repl;

/// <summary>The host's end of the REPL bridge: sends requests and matches their answers, serves the worker's calls.</summary>
/// <remarks>
/// Nothing that arrives is trusted: model code shares its process with the worker and may write what it likes to the
/// stream. Lines that are no messages are skipped, answers to nothing are dropped, a repeated call is answered from memory.
/// After a cut of the connection each side sends again what the other has not answered, with its id (<see cref="ResumeAsync"/>).
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "A late answer may still ask for the semaphore, which holds nothing that needs an end.")]
internal sealed class RpcPeer
{
    private readonly Stream _input;
    private readonly LineReader _reader;
    private readonly IRpcHandler _handler;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private readonly Utf8JsonWriter _writer;
    private readonly ConcurrentDictionary<long, OpenRequest> _requests = new();
    private readonly ConcurrentDictionary<string, Task<Action<Utf8JsonWriter>>> _calls = new(StringComparer.Ordinal);
    private long _lastId;
    private long _lastForgotten;
    private volatile bool _ended;

    public RpcPeer(Stream input, Stream output, int maxMessageBytes, IRpcHandler handler)
    {
        _input = input;
        _writer = new Utf8JsonWriter(_buffer, ProtocolJson.WriterOptions);
        _reader = new LineReader(output, maxMessageBytes);
        _handler = handler;
    }

    /// <summary>Reads messages until the stream ends or breaks; then every open request fails with <see cref="WorkerGoneException"/>.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        Exception? cause = null;
        try
        {
            while (await _reader.ReadAsync(cancellationToken).ConfigureAwait(false) is { } line)
            {
                if (RpcMessage.TryParse(line.Span, out var message))
                {
                    Dispatch(message);
                }
            }
        }
        catch (Exception error)
        {
            // Whatever it is, nobody reads any more: those who wait must know.
            cause = error;
        }

        _ended = true;
        foreach (var (id, waiting) in _requests)
        {
            _requests.TryRemove(id, out _);
            waiting.TrySetException(new WorkerGoneException(cause));
        }
    }

    /// <summary>Sends a request and returns its result.</summary>
    /// <exception cref="WorkerGoneException">The worker ended before it answered.</exception>
    /// <exception cref="WorkerErrorException">The worker answered with an error.</exception>
    public async Task<TResult> RequestAsync<TParams, TResult>(
        string method,
        TParams parameters,
        JsonTypeInfo<TParams> parametersType,
        JsonTypeInfo<TResult> resultType,
        CancellationToken cancellationToken)
    {
        var id = Interlocked.Increment(ref _lastId);

        var request = new OpenRequest(writer =>
        {
            writer.WriteNumber("id", id);
            WriteMethod(writer, method, parameters, parametersType);
        });
        _requests[id] = request;
        try
        {
            await SendAsync(request.Write, cancellationToken).ConfigureAwait(false);
            if (_ended)
            {
                throw new WorkerGoneException(null);
            }

            var message = await request.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            return message.Error is null ? Read(message, method, resultType) : throw new WorkerErrorException(message.Error);
        }
        finally
        {
            _requests.TryRemove(id, out _);
        }
    }

    /// <summary>Sends a notification; a worker that is gone is no error.</summary>
    public async Task NotifyAsync(string method, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(writer => writer.WriteString("method", method), cancellationToken).ConfigureAwait(false);
        }
        catch (WorkerGoneException)
        {
        }
    }

    /// <summary>Takes up the exchange after a cut in which messages of either side may have been lost: what has no answer is sent again.</summary>
    /// <remarks>The worker answers a request that it knows from memory, and in turn repeats its calls, which are answered from memory here.</remarks>
    public async Task ResumeAsync()
    {
        try
        {
            await SendAsync(static writer => writer.WriteString("method", "resume"), CancellationToken.None, endLine: true).ConfigureAwait(false);
            foreach (var (_, request) in _requests.OrderBy(entry => entry.Key))
            {
                if (!request.Task.IsCompleted)
                {
                    await SendAsync(request.Write, CancellationToken.None).ConfigureAwait(false);
                }
            }
        }
        catch (WorkerGoneException)
        {
        }
    }

    /// <summary>Forgets the answers of calls: the cell that made them is over. Such a call is never made again, also when it is repeated.</summary>
    public void ForgetCalls()
    {
        foreach (var (id, call) in _calls)
        {
            if (call.IsCompleted)
            {
                Volatile.Write(ref _lastForgotten, Math.Max(_lastForgotten, NumberOf(id)));
                _calls.TryRemove(id, out _);
            }
        }
    }

    /// <summary>The number in a call's id (<c>c12</c>), by which the worker counts them; 0 for an id that is not the worker's.</summary>
    private static long NumberOf(string id) =>
        id.StartsWith('c') && long.TryParse(id.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    private static TResult Read<TResult>(RpcMessage message, string method, JsonTypeInfo<TResult> type)
    {
        try
        {
            return JsonSerializer.Deserialize(message.Body, type) ?? throw new WorkerErrorException($"The worker answered {method} with null.");
        }
        catch (JsonException error)
        {
            throw new WorkerErrorException($"The worker answered {method} with what is no such answer: {error.Message}");
        }
    }

    private void Dispatch(RpcMessage message)
    {
        if (message.Method is null)
        {
            if (message.Number is { } number && _requests.TryRemove(number, out var waiting))
            {
                waiting.TrySetResult(message);
            }
        }
        else if (message.CallId is { } id)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static call => _ = call.Peer.AnswerAsync(call.Id, call.Message), new Call(this, id, message), preferLocal: false);
        }
        else
        {
            _handler.OnNotification(message.Method, message.Body);
        }
    }

    private async Task AnswerAsync(string id, RpcMessage message)
    {
        Action<Utf8JsonWriter> write;
        var starts = new TaskCompletionSource<Action<Utf8JsonWriter>>(TaskCreationOptions.RunContinuationsAsynchronously);
        var known = _calls.GetOrAdd(id, starts.Task);
        if (known != starts.Task)
        {
            write = await known.ConfigureAwait(false);
        }
        else
        {
            // The answer of a call of an earlier cell may have been lost with the connection: it was made, and is not paid for twice.
            write = NumberOf(id) is var number and > 0 && number <= Volatile.Read(ref _lastForgotten)
                ? Failure("the connection was lost, and the cell that made the call is over")
                : await CallHandlerAsync(message).ConfigureAwait(false);
            starts.SetResult(write);
        }

        try
        {
            try
            {
                await SendAnswerAsync(id, write).ConfigureAwait(false);
            }
            catch (Exception error) when (error is not WorkerGoneException)
            {
                // A result that cannot be written, as of a tool that disposed the document of the element it gave.
                await SendAnswerAsync(id, Failure(error.Message)).ConfigureAwait(false);
            }
        }
        catch (WorkerGoneException)
        {
        }
    }

    private Task SendAnswerAsync(string id, Action<Utf8JsonWriter> write) => SendAsync(
        writer =>
        {
            writer.WriteString("id", id);
            write(writer);
        },
        CancellationToken.None);

    private async Task<Action<Utf8JsonWriter>> CallHandlerAsync(RpcMessage message)
    {
        try
        {
            var call = message.Method == "call" ? JsonSerializer.Deserialize(message.Body, ProtocolJson.Default.CallParams) : null;
            if (call?.Name is null)
            {
                return Failure($"unknown method {message.Method}");
            }

            var reply = await _handler.OnCallAsync(call).ConfigureAwait(false);
            return writer =>
            {
                writer.WritePropertyName("result");
                reply.Write(writer);
            };
        }
        catch (OperationCanceledException)
        {
            return Failure("the call was cancelled");
        }
        catch (Exception error)
        {
            return Failure(error.Message);
        }
    }

    private static Action<Utf8JsonWriter> Failure(string message) => writer =>
    {
        writer.WriteStartObject("error");
        writer.WriteNumber("code", -32000);
        writer.WriteString("message", message);
        writer.WriteEndObject();
    };

    private static void WriteMethod<T>(Utf8JsonWriter writer, string method, T parameters, JsonTypeInfo<T> type)
    {
        writer.WriteString("method", method);
        writer.WritePropertyName("params");
        JsonSerializer.Serialize(writer, parameters, type);
    }

    private async Task SendAsync(Action<Utf8JsonWriter> write, CancellationToken cancellationToken, bool endLine = false)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _buffer.ResetWrittenCount();
            if (endLine)
            {
                // The message before this one may have been cut off in its middle.
                WriteLineFeed();
            }

            _writer.Reset(_buffer);
            _writer.WriteStartObject();
            _writer.WriteString("jsonrpc", "2.0");
            write(_writer);
            _writer.WriteEndObject();
            _writer.Flush();
            WriteLineFeed();
            await FlushAsync(_buffer.WrittenMemory).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    private void WriteLineFeed()
    {
        _buffer.GetSpan(1)[0] = (byte)'\n';
        _buffer.Advance(1);
    }

    private async Task FlushAsync(ReadOnlyMemory<byte> message)
    {
        try
        {
            // A message is written whole or the stream is given up: no token here.
            await _input.WriteAsync(message, CancellationToken.None).ConfigureAwait(false);
            await _input.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException or SandboxException)
        {
            throw new WorkerGoneException(error);
        }
    }

    private sealed record Call(RpcPeer Peer, string Id, RpcMessage Message);

    /// <summary>A request without an answer yet, and how to send it once more.</summary>
    /// <remarks>
    /// What waits for an answer goes on where the answer was read: another thread would have to be woken first, and until the next
    /// request there is nothing else to read.
    /// </remarks>
    private sealed class OpenRequest(Action<Utf8JsonWriter> write) : TaskCompletionSource<RpcMessage>
    {
        public Action<Utf8JsonWriter> Write { get; } = write;
    }
}

/// <summary>What the worker asks of the host.</summary>
internal interface IRpcHandler
{
    /// <summary>Serves a call of a host function; what it throws becomes an exception with that message in Python.</summary>
    Task<HostReply> OnCallAsync(CallParams call);

    void OnNotification(string method, ReadOnlySpan<byte> parameters);
}

/// <summary>The worker ended, or its stream broke.</summary>
internal sealed class WorkerGoneException(Exception? cause) : Exception("The worker is gone.", cause);

/// <summary>The worker answered a request with an error.</summary>
internal sealed class WorkerErrorException(string message) : Exception(message);
