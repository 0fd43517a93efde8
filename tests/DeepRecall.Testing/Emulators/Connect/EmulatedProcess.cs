using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using DeepRecall.Sandboxes.Connect;
using DeepRecall.Sandboxing;

namespace DeepRecall.Testing.Emulators.Connect;

/// <summary>
/// A process of an emulated sandbox, which is one of this machine: as the vendors do it, its output goes to whoever is attached and is
/// discarded when nobody is, a slow reader holds it up, and its end is told to those who come late.
/// </summary>
internal sealed partial class EmulatedProcess
{
    private const int QueuedEvents = 64;

    private readonly Process _process;
    private readonly ProcessFaults _faults;
    private readonly List<Channel<ProcessEvent>> _subscribers = [];
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _writing = new(1, 1);
    private bool _inputOpen;
    private SandboxExit? _exit;

    private EmulatedProcess(Process process, ProcessCommand command, ProcessFaults faults)
    {
        _process = process;
        _faults = faults;
        Command = command;
        _inputOpen = command.Stdin;
    }

    public ProcessCommand Command { get; }

    public uint Pid => (uint)_process.Id;

    public bool HasEnded => Volatile.Read(ref _exit) is not null;

    public Task Ended { get; private set; } = Task.CompletedTask;

    /// <summary>Starts a process, with its first subscriber attached before it can write anything.</summary>
    public static (EmulatedProcess Process, ChannelReader<ProcessEvent> Events) Start(ProcessStartInfo start, ProcessCommand command, ProcessFaults faults)
    {
        var process = new EmulatedProcess(Process.Start(start)!, command, faults);
        if (!command.Stdin)
        {
            process._process.StandardInput.Close();
        }

        var events = process.Subscribe();
        process.Ended = process.RunAsync();
        return (process, events);
    }

    /// <summary>Attaches: what the process writes from now on, and its end, comes here.</summary>
    public ChannelReader<ProcessEvent> Subscribe()
    {
        var channel = Channel.CreateBounded<ProcessEvent>(new BoundedChannelOptions(QueuedEvents) { SingleReader = true });
        channel.Writer.TryWrite(new ProcessEvent(ProcessEventKind.Started, Pid));
        lock (_lock)
        {
            if (_exit is { } exit)
            {
                channel.Writer.TryWrite(new ProcessEvent(ProcessEventKind.Ended, Exit: exit));
                channel.Writer.Complete();
            }
            else
            {
                _subscribers.Add(channel);
            }
        }

        return channel.Reader;
    }

    public void Unsubscribe(ChannelReader<ProcessEvent> events)
    {
        lock (_lock)
        {
            foreach (var gone in _subscribers.Where(channel => channel.Reader == events).ToArray())
            {
                _subscribers.Remove(gone);
                gone.Writer.TryComplete();
            }
        }
    }

    /// <summary>Writes input; returns when the pipe has taken it.</summary>
    /// <exception cref="IOException">The process takes no input any more.</exception>
    public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            if (!_inputOpen)
            {
                throw new IOException("stdin is closed");
            }

            await _process.StandardInput.BaseStream.WriteAsync(bytes, CancellationToken.None);
            await _process.StandardInput.BaseStream.FlushAsync(CancellationToken.None);
        }
        finally
        {
            _writing.Release();
        }
    }

    public async Task CloseInputAsync()
    {
        await _writing.WaitAsync();
        _inputOpen = false;
        _process.StandardInput.Close();
        _writing.Release();
    }

    public void Signal(int signal)
    {
        if (!HasEnded)
        {
            SendSignal(_process.Id, signal);
        }
    }

    private async Task RunAsync()
    {
        if (_faults.Noise.Length > 0)
        {
            await PublishAsync(new ProcessEvent(ProcessEventKind.Output, Data: _faults.Noise));
        }

        await Task.WhenAll(
            PumpAsync(_process.StandardOutput.BaseStream, ProcessEventKind.Output),
            PumpAsync(_process.StandardError.BaseStream, ProcessEventKind.Error));
        await _process.WaitForExitAsync();
        var code = _process.ExitCode;
        var exit = code is > 128 and < 128 + 65 ? new SandboxExit(null, code - 128) : new SandboxExit(code);
        Channel<ProcessEvent>[] subscribers;
        lock (_lock)
        {
            Volatile.Write(ref _exit, exit);
            subscribers = [.. _subscribers];
            _subscribers.Clear();
        }

        foreach (var subscriber in subscribers)
        {
            try
            {
                await subscriber.Writer.WriteAsync(new ProcessEvent(ProcessEventKind.Ended, Exit: exit));
                subscriber.Writer.Complete();
            }
            catch (ChannelClosedException)
            {
                // It went away.
            }
        }
    }

    private async Task PumpAsync(Stream stream, ProcessEventKind kind)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await stream.ReadAsync(buffer.AsMemory(0, Math.Min(buffer.Length, _faults.ChunkBytes))) is > 0 and var read)
            {
                await PublishAsync(new ProcessEvent(kind, Data: buffer.AsMemory(0, read).ToArray()));
            }
        }
        catch (IOException)
        {
        }
    }

    private async Task PublishAsync(ProcessEvent happened)
    {
        Channel<ProcessEvent>[] subscribers;
        lock (_lock)
        {
            subscribers = [.. _subscribers];
        }

        foreach (var subscriber in subscribers)
        {
            try
            {
                await subscriber.Writer.WriteAsync(happened);
            }
            catch (ChannelClosedException)
            {
                // It went away, and what it did not read is lost.
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int process, int signal);
}
