using System.Diagnostics;
using Grpc.Core;

namespace DeepRecall.Testing.Emulators.Modal;

/// <summary>A command in an emulated sandbox.</summary>
internal sealed class ModalExec
{
    private readonly Process _process;
    private readonly SemaphoreSlim _writing = new(1, 1);

    public ModalExec(ProcessStartInfo start, TimeSpan? timeout)
    {
        _process = Process.Start(start)!;
        var reading = Task.WhenAll(Output.FillAsync(_process.StandardOutput.BaseStream), Errors.FillAsync(_process.StandardError.BaseStream));
        Exit = WaitAsync(reading, timeout);
    }

    public OutputLog Output { get; } = new();

    public OutputLog Errors { get; } = new();

    /// <summary>The exit code as .NET tells it.</summary>
    public Task<int> Exit { get; }

    public ulong Written { get; private set; }

    public bool Closed { get; private set; }

    /// <summary>Writes at an offset: what is there already is skipped, and a gap is refused.</summary>
    public async Task WriteAsync(ulong offset, ReadOnlyMemory<byte> data, bool eof)
    {
        await _writing.WaitAsync();
        try
        {
            if (offset > Written)
            {
                throw new RpcException(new Status(StatusCode.FailedPrecondition, $"offset {offset} is beyond {Written}"));
            }

            var known = (int)Math.Min(Written - offset, (ulong)data.Length);
            if (known < data.Length)
            {
                if (Closed || Exit.IsCompleted)
                {
                    throw new RpcException(new Status(StatusCode.FailedPrecondition, "stdin is closed"));
                }

                await _process.StandardInput.BaseStream.WriteAsync(data[known..]);
                await _process.StandardInput.BaseStream.FlushAsync();
                Written += (ulong)(data.Length - known);
            }

            if (eof && !Closed)
            {
                Closed = true;
                _process.StandardInput.Close();
            }
        }
        catch (IOException error)
        {
            throw new RpcException(new Status(StatusCode.Aborted, error.Message));
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task<int> WaitAsync(Task reading, TimeSpan? timeout)
    {
        using var limit = timeout is { } span ? new CancellationTokenSource(span) : new CancellationTokenSource();
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        await Task.WhenAny(reading, Task.Delay(500));
        return _process.ExitCode;
    }
}
