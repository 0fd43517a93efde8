using System.IO.Pipelines;
using System.Text;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>The worker in a sandbox that is reached by a Connect process service.</summary>
/// <remarks>
/// Its output comes as a stream of events. The process outlives the stream: one that breaks is made anew, and what the process wrote in
/// between is lost, as the services do not keep it. Input goes by calls, each of which is answered when its bytes are written; of a call
/// that was not answered nobody knows whether they were, so the rest of its message is not sent. In both cases <see cref="Resumed"/>
/// has the REPL repeat what has no answer.
/// </remarks>
internal sealed partial class ConnectProcess : ISandboxProcess
{
    private const int MaxErrorText = 4_000;
    private const int Kill = 9;

    /// <summary>A connection that was up for so long was a good one: the attempts are counted anew.</summary>
    private static readonly TimeSpan GoodConnection = TimeSpan.FromSeconds(5);

    /// <summary>Services are asked for a sign of life each 50 seconds; after so long without any the connection is dead.</summary>
    private static readonly TimeSpan QuietLimit = TimeSpan.FromSeconds(125);

    private static readonly TimeSpan InputLimit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan SignalLimit = TimeSpan.FromSeconds(10);

    private readonly IProcessService _service;
    private readonly ProcessCommand _command;
    private readonly CloudHost _host;
    private readonly BackOff _backOff;
    private readonly Pipe _output = new(new PipeOptions(pauseWriterThreshold: 4 << 20, resumeWriterThreshold: 2 << 20, useSynchronizationContext: false));
    private readonly StringBuilder _errors = new();
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<SandboxExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _ending = new();
    private readonly ResumeSignal _resumed;
    private Task _reading = Task.CompletedTask;
    private SandboxException? _lost;
    private int _inputFailures;
    private uint _pid;
    private int _disposed;

    private ConnectProcess(IProcessService service, ProcessCommand command, CloudHost host, BackOff backOff)
    {
        _service = service;
        _command = command;
        _host = host;
        _backOff = backOff;
        _resumed = new ResumeSignal(this);
        Input = new CallbackInput(SendAsync);
        Output = _output.Reader.AsStream();
    }

    public event EventHandler Resumed
    {
        add => _resumed.Add(value);
        remove => _resumed.Remove(value);
    }

    public Stream Input { get; }

    public Stream Output { get; }

    public Task<SandboxExit> Exited => _exited.Task;

    /// <summary>Starts the process; from now on the sandbox is this process's, and is deleted with it, also when the start fails.</summary>
    public static async Task<ConnectProcess> StartAsync(IProcessService service, ProcessCommand command, CloudHost host, BackOff backOff, CancellationToken cancellationToken)
    {
        var process = new ConnectProcess(service, command, host, backOff);
        process._reading = process.ReadAsync();
        try
        {
            await process._started.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            return process;
        }
        catch
        {
            await process.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        UploadName.Check(name);
        return _service.UploadAsync(name, write, cancellationToken);
    }

    public async Task<bool> InterruptAsync(CancellationToken cancellationToken)
    {
        // The services know no SIGINT, but they can run a command that does.
        var command = new ProcessCommand("/bin/sh", ["-c", $"kill -INT {_pid}"]);
        for (var attempt = 0; attempt < 2 && !_exited.Task.IsCompleted; attempt++)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ending.Token);
            limit.CancelAfter(SignalLimit);
            try
            {
                await foreach (var happened in _service.StartAsync(command, again: false, limit.Token).ConfigureAwait(false))
                {
                    if (happened.Kind == ProcessEventKind.Ended)
                    {
                        return happened.Exit?.ExitCode == 0;
                    }
                }
            }
            catch (ConnectException error)
            {
                LogInterruptFailed(_host.Logger, _service.Display, _service.Errors.Redact(error.Message));
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                LogInterruptFailed(_host.Logger, _service.Display, "no answer");
            }
        }

        return _exited.Task.IsCompleted;
    }

    public async Task KillAsync(CancellationToken cancellationToken)
    {
        // The sandbox is there for this process alone, and nothing that it started survives the sandbox.
        var deleting = _service.DeleteAsync();
        await EndAsync(new SandboxExit(null, Kill)).ConfigureAwait(false);
        await deleting.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        var deleting = _service.DeleteAsync();
        await EndAsync(new SandboxExit(null, Kill)).ConfigureAwait(false);
        await _reading.ConfigureAwait(false);
        await deleting.ConfigureAwait(false);
        _ending.Dispose();
    }

    private async Task EndAsync(SandboxExit exit)
    {
        _exited.TrySetResult(exit);
        await _ending.CancelAsync().ConfigureAwait(false);
    }

    private SandboxExit Finish(SandboxExit exit)
    {
        var errors = _errors.ToString().Trim();
        return errors.Length == 0 || exit.Detail is not null ? exit : exit with { Detail = errors };
    }

    [LoggerMessage(40, LogLevel.Warning, "The connection to {Sandbox} was lost ({Reason}); attempt {Attempt} of {Attempts} to make it anew follows.")]
    private static partial void LogReconnect(ILogger logger, string sandbox, string reason, int attempt, int attempts);

    [LoggerMessage(41, LogLevel.Debug, "Input for {Sandbox} was not acknowledged ({Reason}); the exchange is resumed.")]
    private static partial void LogInputFailed(ILogger logger, string sandbox, string reason);

    [LoggerMessage(42, LogLevel.Debug, "The interrupt for {Sandbox} failed: {Reason}.")]
    private static partial void LogInterruptFailed(ILogger logger, string sandbox, string reason);
}
