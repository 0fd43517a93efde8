using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators.Daytona;

/// <summary>A client at a terminal: gets what the terminal shows in a queue, and is dropped when that is full.</summary>
internal sealed class DaytonaPtyClient(HttpContext context, WebSocket socket, DaytonaPty pty, DaytonaFaults faults, bool exitControl)
{
    private const int MaxMessage = 64 * 1024;

    private readonly Channel<byte[]> _queue = Channel.CreateBounded<byte[]>(faults.QueuedMessages);
    private readonly TaskCompletionSource<(WebSocketCloseStatus Status, string Reason, int? ExitCode)> _closing = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long? _outputLeft = faults.CutOutput();
    private long? _inputLeft = faults.CutInput();

    public void Send(byte[] bytes)
    {
        if (!_queue.Writer.TryWrite(bytes))
        {
            Close(WebSocketCloseStatus.PolicyViolation, "slow consumer", null);
        }
    }

    public void Exit(int code) => Close(
        code == 0 ? WebSocketCloseStatus.NormalClosure : WebSocketCloseStatus.InternalServerError,
        DaytonaPty.ReasonOf(code) is { } reason ? JsonSerializer.Serialize(new { exitCode = code, exitReason = reason }) : JsonSerializer.Serialize(new { exitCode = code }),
        code);

    /// <summary>Serves the client until it goes, or is to go.</summary>
    public async Task ServeAsync(CancellationToken stopping)
    {
        pty.Attach(this);
        try
        {
            await SendTextAsync("""{"type":"control","status":"connected"}""", stopping);
            var sending = SendAllAsync(stopping);
            var receiving = ReceiveAllAsync(stopping);
            if (pty.Exit.IsCompleted)
            {
                Exit(await pty.Exit);
            }

            await Task.WhenAny(sending, receiving);
            if (sending.IsCompletedSuccessfully)
            {
                await CloseAsync(stopping);
            }
        }
        catch (Exception error) when (error is WebSocketException or OperationCanceledException or IOException)
        {
            // The client is gone.
        }
        finally
        {
            pty.Detach(this);
            context.Abort();
        }
    }

    private void Close(WebSocketCloseStatus status, string reason, int? exitCode)
    {
        _closing.TrySetResult((status, reason, exitCode));
        _queue.Writer.TryComplete();
    }

    private async Task CloseAsync(CancellationToken stopping)
    {
        var (status, reason, exitCode) = await _closing.Task;
        if (exitControl && exitCode is { } code)
        {
            await SendTextAsync(JsonSerializer.Serialize(new { type = "control", status = "exited", exitCode = code, exitReason = DaytonaPty.ReasonOf(code) }), stopping);
        }

        await socket.CloseOutputAsync(status, reason, stopping);
        await Task.Delay(50, stopping); // else the connection's end can overtake the message
    }

    private async Task SendAllAsync(CancellationToken stopping)
    {
        await foreach (var bytes in _queue.Reader.ReadAllAsync(stopping))
        {
            if (_closing.Task.IsCompletedSuccessfully && (await _closing.Task).ExitCode is null)
            {
                return; // a client that was dropped does not get what is still in its queue
            }

            if (faults.SendDelay > TimeSpan.Zero)
            {
                await Task.Delay(faults.SendDelay, stopping);
            }

            var length = (int)Math.Min(bytes.Length, _outputLeft ?? bytes.Length);
            await socket.SendAsync(bytes.AsMemory(0, length), WebSocketMessageType.Binary, endOfMessage: true, stopping);
            _outputLeft -= length;
            if (_outputLeft <= 0)
            {
                throw new IOException("cut");
            }
        }
    }

    private async Task ReceiveAllAsync(CancellationToken stopping)
    {
        var buffer = new byte[MaxMessage + 1];
        while (true)
        {
            var length = 0;
            ValueWebSocketReceiveResult result;
            do
            {
                result = await socket.ReceiveAsync(buffer.AsMemory(length), stopping);
                length += result.Count;
                if (length > MaxMessage)
                {
                    throw new IOException("message too long");
                }
            }
            while (!result.EndOfMessage);

            if (result.MessageType == WebSocketMessageType.Close)
            {
                return;
            }

            var taken = (int)Math.Min(length, _inputLeft ?? length);
            await pty.WriteAsync(buffer.AsMemory(0, taken));
            _inputLeft -= taken;
            if (taken < length || _inputLeft <= 0)
            {
                throw new IOException("cut");
            }
        }
    }

    private Task SendTextAsync(string text, CancellationToken stopping) =>
        socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, stopping);
}
