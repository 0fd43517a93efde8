using System.Globalization;
using System.IO.Pipelines;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.Prime;

/// <summary>The worker in a container, whose processes have no standard input that could be reached: the exchange goes through files.</summary>
/// <remarks>
/// What the worker reads is a pipe with a name, into which commands of the API write; what it writes is a file, which a command sends on from
/// where the last one ended as soon as it has grown. So output is never lost. Of a command that was not answered nobody knows whether it
/// wrote its input, so the rest of the message is not sent, and <see cref="Resumed"/> has the REPL repeat what has no answer.
/// </remarks>
internal sealed partial class PrimeContainerProcess : ISandboxProcess
{
    private const int Kill = 9;
    private const int InputChunk = 48 * 1024; // a word of a command line is 128 KiB at most, and base64 makes 4 bytes of 3
    private const int OutputChunk = 1 << 20;
    private const int PollSeconds = 20;
    private const int InputSeconds = 300;

    private readonly PrimeGateway _gateway;
    private readonly CloudHost _host;
    private readonly BackOff _backOff;
    private readonly string _mailbox;
    private readonly Pipe _output = new(new PipeOptions(pauseWriterThreshold: 4 << 20, resumeWriterThreshold: 2 << 20, useSynchronizationContext: false));
    private readonly TaskCompletionSource<SandboxExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _ending = new();
    private readonly ResumeSignal _resumed;
    private Task _reading = Task.CompletedTask;
    private SandboxException? _lost;
    private int _inputFailures;
    private int _parts;
    private int _disposed;

    private PrimeContainerProcess(PrimeGateway gateway, string directory, CloudHost host, BackOff backOff)
    {
        _gateway = gateway;
        _host = host;
        _backOff = backOff;
        _mailbox = $"{directory}/deeprecall_mailbox";
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

    /// <summary>Starts the worker; from now on the sandbox is this process's, and is deleted with it.</summary>
    /// <param name="gateway">The sandbox.</param>
    /// <param name="command">A command line that becomes the worker.</param>
    /// <param name="directory">Where files are.</param>
    /// <param name="host">Clock and log.</param>
    /// <param name="backOff">How often what fails is tried again.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    public static async Task<PrimeContainerProcess> StartAsync(PrimeGateway gateway, string command, string directory, CloudHost host, BackOff backOff, CancellationToken cancellationToken)
    {
        var process = new PrimeContainerProcess(gateway, directory, host, backOff);
        try
        {
            // The shell that waits for the end holds the pipe open both ways, so that neither a reader nor a writer ever waits for the other.
            // mkdir fails when an earlier attempt got through, whose answer was lost: then there is nothing left to do.
            var mailbox = process._mailbox;
            var run = $"exec 3<>in; sh -c {CloudWorker.Quote($"echo $$ >pid; {command} <{mailbox}/in >{mailbox}/out 2>{mailbox}/errors 3>&-")}; echo $? >exit.new; mv exit.new exit";
            var start = $"mkdir {mailbox} 2>/dev/null || exit 0; cd {mailbox} && mkfifo in && : >out && : >errors && (nohup sh -c {CloudWorker.Quote(run)} >/dev/null 2>&1 </dev/null &)";
            var result = await gateway.ExecAsync(start, 60, repeatable: true, cancellationToken).ConfigureAwait(false);
            if (result.ExitCode != 0)
            {
                throw gateway.Errors.Failed(SandboxErrorKind.Other, $"start Python in {gateway.Display}", $"exit code {result.ExitCode}: {result.Stderr}");
            }

            process._reading = process.ReadAsync();
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
        return _gateway.UploadAsync(name, write, cancellationToken);
    }

    public async Task<bool> InterruptAsync(CancellationToken cancellationToken)
    {
        try
        {
            var result = await _gateway.ExecAsync($"kill -INT $(cat {_mailbox}/pid)", 10, repeatable: true, cancellationToken).ConfigureAwait(false);
            return result.ExitCode == 0;
        }
        catch (SandboxException)
        {
            return false;
        }
    }

    public async Task KillAsync(CancellationToken cancellationToken)
    {
        var deleting = _gateway.DeleteAsync();
        await EndAsync().ConfigureAwait(false);
        await deleting.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        var deleting = _gateway.DeleteAsync();
        await EndAsync().ConfigureAwait(false);
        await _reading.ConfigureAwait(false);
        await deleting.ConfigureAwait(false);
        _ending.Dispose();
    }

    private async Task EndAsync()
    {
        _exited.TrySetResult(new SandboxExit(null, Kill));
        await _ending.CancelAsync().ConfigureAwait(false);
    }

    private async Task ReadAsync()
    {
        long offset = 0;
        var failures = 0;
        try
        {
            while (!_ending.IsCancellationRequested)
            {
                try
                {
                    var result = await _gateway.ExecAsync(PollCommand(offset), PollSeconds + 40, repeatable: true, _ending.Token).ConfigureAwait(false);
                    if (result.ExitCode != 0)
                    {
                        throw _gateway.Errors.Failed(SandboxErrorKind.Other, "read output", $"exit code {result.ExitCode}: {result.Stderr}");
                    }

                    failures = 0;
                    var lines = (result.Stdout ?? string.Empty).Split('\n');
                    var bytes = Convert.FromBase64String(lines[0].Trim());
                    if (bytes.Length > 0)
                    {
                        offset += bytes.Length;
                        await _output.Writer.WriteAsync(bytes, _ending.Token).ConfigureAwait(false);
                    }
                    else if (lines.Length > 1 && int.TryParse(lines[1], NumberStyles.Integer, CultureInfo.InvariantCulture, out var code))
                    {
                        var errors = string.Join('\n', lines[2..]).Trim();
                        _exited.TrySetResult(code > 128 ? new SandboxExit(null, code - 128) : new SandboxExit(code, null, errors.Length > 0 ? errors : null));
                        return;
                    }
                }
                catch (Exception error) when (error is SandboxException or FormatException)
                {
                    failures++;
                    if (await _gateway.IsGoneAsync(_ending.Token).ConfigureAwait(false))
                    {
                        Lose($"{_gateway.Display} is gone: it was deleted, or its time ran out", error);
                        return;
                    }

                    if (failures >= _backOff.Attempts)
                    {
                        Lose($"the connection to {_gateway.Display} was lost and could not be made again in {failures} attempts ({error.Message})", error);
                        return;
                    }

                    LogReadFailed(_host.Logger, _gateway.Display, error.Message, failures, _backOff.Attempts);
                    await Task.Delay(_backOff.WaitAfter(failures - 1), _host.Time, _ending.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The end of this object.
        }
        catch (Exception error)
        {
            // Whatever it is, nobody reads any more: those who wait must know.
            Lose($"reading from {_gateway.Display} failed ({error.Message})", error);
        }
        finally
        {
            await _output.Writer.CompleteAsync(_lost).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until there is more output than was read, or the end, and writes a line of base64, the exit code when there is nothing else, and what the worker said when it failed.</summary>
    private string PollCommand(long offset) => string.Create(
        CultureInfo.InvariantCulture,
        $"""
        cd {_mailbox} || exit 1
        n=0
        while [ "$(stat -c %s out)" -le {offset} ] && [ ! -e exit ] && [ $n -lt {PollSeconds * 50} ]; do sleep 0.02; n=$((n+1)); done
        ended=$(cat exit 2>/dev/null)
        tail -c +{offset + 1} out | head -c {OutputChunk} | base64 | tr -d '\n'; echo
        [ -z "$ended" ] || (echo "$ended"; head -c 4000 errors)
        """);

    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ending.Token);
        try
        {
            if (bytes.Length > 4 * InputChunk)
            {
                await SendByFileAsync(bytes, linked.Token).ConfigureAwait(false);
            }
            else
            {
                for (; !bytes.IsEmpty; bytes = bytes[Math.Min(bytes.Length, InputChunk)..])
                {
                    var text = Convert.ToBase64String(bytes.Span[..Math.Min(bytes.Length, InputChunk)]);
                    await RunAsync($"printf %s {text} | base64 -d >{_mailbox}/in", linked.Token).ConfigureAwait(false);
                }
            }

            _inputFailures = 0;
        }
        catch (SandboxException error) when (_exited.Task.IsCompleted)
        {
            throw new IOException("The process has ended.", error);
        }
        catch (SandboxException error)
        {
            await OnInputFailedAsync(error).ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException("The process has ended.", error);
        }
    }

    private async Task SendByFileAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var path = await _gateway.UploadAsync($"deeprecall_in{_parts++}", bytes, cancellationToken).ConfigureAwait(false);
        await RunAsync($"cat {CloudWorker.Quote(path)} >{_mailbox}/in; rm -f {CloudWorker.Quote(path)}", cancellationToken).ConfigureAwait(false);
    }

    private async Task RunAsync(string command, CancellationToken cancellationToken)
    {
        if (_exited.Task.IsCompleted)
        {
            throw new IOException("The process has ended.");
        }

        var result = await _gateway.ExecAsync(command, InputSeconds, repeatable: false, cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw _gateway.Errors.Failed(SandboxErrorKind.Other, "write input", $"exit code {result.ExitCode}: {result.Stderr}");
        }
    }

    private async Task OnInputFailedAsync(SandboxException failure)
    {
        if (++_inputFailures >= _backOff.Attempts)
        {
            Lose($"the connection to {_gateway.Display} was lost: {_inputFailures} attempts to send input failed ({failure.Message})", failure);
            await _ending.CancelAsync().ConfigureAwait(false);
            throw new IOException(_lost!.Message, _lost);
        }

        try
        {
            await Task.Delay(_backOff.WaitAfter(_inputFailures - 1), _host.Time, _ending.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException error)
        {
            throw new IOException("The process has ended.", error);
        }

        _resumed.Raise();
    }

    /// <summary>Gives the process up: everybody who waits for it is told why.</summary>
    private void Lose(string reason, Exception cause)
    {
        reason = _gateway.Errors.Redact(reason);
        _lost ??= new SandboxException($"{char.ToUpperInvariant(reason[0])}{reason[1..]}. What the REPL held is lost.", _gateway.Errors.Safe(cause)) { Kind = SandboxErrorKind.Connection };
        _exited.TrySetResult(new SandboxExit(null, null, reason));
    }

    [LoggerMessage(46, LogLevel.Warning, "Reading from {Sandbox} failed ({Reason}); attempt {Attempt} of {Attempts} follows.")]
    private static partial void LogReadFailed(ILogger logger, string sandbox, string reason, int attempt, int attempts);
}
