using System.Buffers;
using System.IO.Pipelines;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Cuts;

/// <summary>A process behind a connection that can be cut after any byte, in either direction.</summary>
internal sealed class CutProcess : ISandboxProcess
{
    private readonly ISandboxProcess _inner;
    private readonly Pipe _output = new(new PipeOptions(pauseWriterThreshold: 0));
    private readonly Lock _lock = new();
    private readonly Task _pumping;
    private EventHandler? _resumed;
    private bool _attached = true;
    private int _cuts;
    private int _outLeft;
    private int _inLeft;

    public CutProcess(ISandboxProcess inner)
    {
        _inner = inner;
        Input = new CutInput(this);
        Output = _output.Reader.AsStream();
        _pumping = PumpAsync();
    }

    public event EventHandler Resumed
    {
        add
        {
            _resumed += value;
            if (_cuts > 0 && _attached)
            {
                value(this, EventArgs.Empty);
            }
        }

        remove => _resumed -= value;
    }

    public Stream Input { get; }

    public Stream Output { get; }

    public Task<SandboxExit> Exited => _inner.Exited;

    /// <summary>Cuts the connection; so many more bytes still get through each way.</summary>
    public void Cut(int outputBytes, int inputBytes)
    {
        lock (_lock)
        {
            _attached = false;
            _cuts++;
            (_outLeft, _inLeft) = (outputBytes, inputBytes);
        }
    }

    /// <summary>Makes the connection anew.</summary>
    public async Task AttachAsync()
    {
        lock (_lock)
        {
            _attached = true;
            _output.Writer.Write("\n"u8);
        }

        await _output.Writer.FlushAsync();
        _resumed?.Invoke(this, EventArgs.Empty);
    }

    public Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken) =>
        _inner.UploadAsync(name, write, cancellationToken);

    /// <summary>Whether an interrupt is never answered.</summary>
    public bool InterruptHangs { get; set; }

    public async Task<bool> InterruptAsync(CancellationToken cancellationToken)
    {
        if (InterruptHangs)
        {
            await Task.Delay(Timeout.Infinite, CancellationToken.None);
        }

        return await _inner.InterruptAsync(cancellationToken);
    }

    public Task KillAsync(CancellationToken cancellationToken) => _inner.KillAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _inner.DisposeAsync();
        await _pumping;
    }

    private async Task PumpAsync()
    {
        var buffer = new byte[4096];
        try
        {
            while (await _inner.Output.ReadAsync(buffer) is > 0 and var read)
            {
                lock (_lock)
                {
                    var passed = _attached ? read : Math.Min(read, _outLeft);
                    _outLeft -= _attached ? 0 : passed;
                    _output.Writer.Write(buffer.AsSpan(0, passed));
                }

                await _output.Writer.FlushAsync();
            }
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException)
        {
            // It was disposed.
        }

        await _output.Writer.CompleteAsync();
    }

    private async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        int passed;
        lock (_lock)
        {
            passed = _attached ? bytes.Length : Math.Min(bytes.Length, _inLeft);
            _inLeft = _attached || passed < bytes.Length ? 0 : _inLeft - passed;
        }

        await _inner.Input.WriteAsync(bytes[..passed], cancellationToken);
        await _inner.Input.FlushAsync(cancellationToken);
    }

    private sealed class CutInput(CutProcess process) : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            process.WriteAsync(buffer, cancellationToken);

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
