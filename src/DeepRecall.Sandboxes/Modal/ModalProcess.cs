using System.Text;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Modal.Wire;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>A worker in a sandbox of Modal's, which is its alone and ends with it.</summary>
internal sealed class ModalProcess : ISandboxProcess
{
    private const int MaxWrite = 4 * 1024 * 1024; // Modal's own clients send 16 MiB at most
    private const int MaxErrorText = 4_000;
    private const int KillSignal = 9;

    /// <summary>How long the end of a command may be told after its streams have failed.</summary>
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan QuestionTimeout = TimeSpan.FromSeconds(1);

    private readonly ModalClient _client;
    private readonly ModalRouter _router;
    private readonly string _sandboxId;
    private readonly string _execId;
    private readonly CancellationTokenSource _lost = new(); // holds nothing, and may be cancelled late: not disposed
    private readonly CancellationToken _lostToken;
    private readonly TaskCompletionSource<SandboxExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _watching;
    private WorkerPlace? _place;
    private int _disposed;

    private ModalProcess(ModalClient client, ModalRouter router, string sandboxId, string execId)
    {
        _client = client;
        _router = router;
        _sandboxId = sandboxId;
        _execId = execId;
        _lostToken = _lost.Token;
        Input = new PipelinedInput((offset, bytes) => router.WriteAsync(execId, offset, bytes, eof: false, _lostToken), OnStreamFailed, MaxWrite);
        Output = new ModalOutput(router, execId, TaskExecStdioFileDescriptor.Stdout, OnStreamFailed, _lostToken);
        _watching = WatchAsync();
    }

    public Stream Input { get; }

    public Stream Output { get; }

    public Task<SandboxExit> Exited => _exited.Task;

    /// <summary>Starts the worker in a sandbox that idles. When it fails, the sandbox is as it was: the caller ends it.</summary>
    public static async Task<ModalProcess> StartAsync(
        ModalClient client,
        ModalRouter router,
        string sandboxId,
        SandboxStartRequest request,
        CancellationToken cancellationToken)
    {
        var execId = await router.StartAsync(WorkerBootstrap.Command(request), cancellationToken).ConfigureAwait(false);
        var process = new ModalProcess(client, router, sandboxId, execId);
        try
        {
            await process.Input.WriteAsync(Encoding.UTF8.GetBytes(request.WorkerSource), cancellationToken).ConfigureAwait(false);
            await process.ReadPlaceAsync(request.Nonce, cancellationToken).ConfigureAwait(false); // Python has started
            process._place = await process.ReadPlaceAsync(request.Nonce, cancellationToken).ConfigureAwait(false); // and the worker is there
            return process;
        }
        catch
        {
            await process.StopAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        UploadName.Check(name);
        var path = $"{_place!.Directory}/{name}";
        var execId = await _router.StartAsync(["sh", "-c", "exec cat > \"$0\"", path], cancellationToken).ConfigureAwait(false);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _lostToken);
        var input = new PipelinedInput((offset, bytes) => _router.WriteAsync(execId, offset, bytes, eof: false, ending.Token), static _ => { }, MaxWrite);
        await using (input.ConfigureAwait(false))
        {
            try
            {
                await write(input, cancellationToken).ConfigureAwait(false);
                var length = await input.DrainAsync(cancellationToken).ConfigureAwait(false);
                await _router.WriteAsync(execId, length, ReadOnlyMemory<byte>.Empty, eof: true, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error) when (error is SandboxException || (error is IOException && input.HasFailed))
            {
                throw UploadFailed(name, $"{error.Message}{await DescribeErrorsAsync(execId).ConfigureAwait(false)}", error);
            }
            finally
            {
                await ending.CancelAsync().ConfigureAwait(false); // ends a write that is still under way
            }
        }

        var (code, signal) = await _router.WaitAsync(execId, cancellationToken).ConfigureAwait(false);
        return code == 0
            ? path
            : throw UploadFailed(name, $"{new SandboxExit(code, signal)}{await DescribeErrorsAsync(execId).ConfigureAwait(false)}");
    }

    public async Task<bool> InterruptAsync(CancellationToken cancellationToken)
    {
        if (!_exited.Task.IsCompleted)
        {
            try
            {
                await _router.StartAsync(["sh", "-c", "kill -INT \"$0\"", $"{_place!.ProcessId}"], cancellationToken).ConfigureAwait(false);
            }
            catch (SandboxException)
            {
                // It does not stop then, and is killed.
            }
        }

        return true;
    }

    public async Task KillAsync(CancellationToken cancellationToken)
    {
        // Whoever waits for the process is free at once, also when Modal does not answer.
        _exited.TrySetResult(new SandboxExit(null, KillSignal));
        await _lost.CancelAsync().ConfigureAwait(false);
        await _client.DiscardAsync(_sandboxId).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        var discarding = _client.DiscardAsync(_sandboxId);
        await StopAsync().ConfigureAwait(false);
        await discarding.ConfigureAwait(false);
    }

    /// <summary>Lets go of the sandbox.</summary>
    private async Task StopAsync()
    {
        _exited.TrySetResult(new SandboxExit(null, KillSignal));
        await _lost.CancelAsync().ConfigureAwait(false);
        await _watching.ConfigureAwait(false);
        await Output.DisposeAsync().ConfigureAwait(false);
        await Input.DisposeAsync().ConfigureAwait(false);
        _router.Dispose();
    }

    private async Task<WorkerPlace> ReadPlaceAsync(string nonce, CancellationToken cancellationToken) =>
        await WorkerBootstrap.ReadPlaceAsync(Output, nonce, cancellationToken).ConfigureAwait(false)
            ?? throw _client.Errors.Failed(SandboxErrorKind.NotFound, "start Python", $"{await _exited.Task.WaitAsync(cancellationToken).ConfigureAwait(false)}; the image needs python3, 3.9 or newer");

    private void Fail(Exception error)
    {
        _exited.TrySetResult(new SandboxExit(null, null, error.Message));
        _lost.Cancel();
    }

    /// <summary>A stream that failed because there is nothing behind it any more: what watches the command tells why, as a rule.</summary>
    private void OnStreamFailed(Exception error)
    {
        if (error is SandboxException { Kind: SandboxErrorKind.NotFound or SandboxErrorKind.Quota or SandboxErrorKind.Conflict })
        {
            _ = FailUnlessOverAsync(error);
        }
        else
        {
            Fail(error);
        }
    }

    private async Task FailUnlessOverAsync(Exception error)
    {
        await ((Task)_exited.Task.WaitAsync(EndTimeout, _client.Host.Time)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!_exited.Task.IsCompleted)
        {
            Fail(error);
        }
    }

    private SandboxException UploadFailed(string name, string reason, Exception? cause = null) =>
        _client.Errors.Failed(
            cause is SandboxException { Kind: SandboxErrorKind.Connection or SandboxErrorKind.Server or SandboxErrorKind.Timeout } failure ? failure.Kind : SandboxErrorKind.Other,
            $"upload '{name}' to the sandbox {_sandboxId}",
            reason,
            cause);

    private async Task WatchAsync()
    {
        try
        {
            var (code, signal) = await _router.WaitAsync(_execId, _lostToken).ConfigureAwait(false);
            var detail = code is null or 0 ? null : await ReadErrorsAsync(_execId).ConfigureAwait(false);
            if (signal == KillSignal)
            {
                detail = await DescribeSandboxEndAsync().ConfigureAwait(false);
            }

            _exited.TrySetResult(new SandboxExit(code, signal, detail));
        }
        catch (SandboxException error)
        {
            Fail(await DescribeSandboxEndAsync().ConfigureAwait(false) is { } end ? new SandboxException($"the sandbox {_sandboxId} ended: {end}", error) : error);
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
        {
            // The process is let go of.
        }
    }

    private async Task<string?> DescribeSandboxEndAsync()
    {
        using var timeout = new CancellationTokenSource(QuestionTimeout);
        try
        {
            return _client.Errors.EndOf(await _client.GetResultAsync(_sandboxId, timeout.Token).ConfigureAwait(false));
        }
        catch (Exception error) when (error is SandboxException or OperationCanceledException or ObjectDisposedException)
        {
            return null;
        }
    }

    private async Task<string> DescribeErrorsAsync(string execId) =>
        await ReadErrorsAsync(execId).ConfigureAwait(false) is { } text ? $" ({text})" : string.Empty;

    /// <summary>What a command that is over wrote to its standard error.</summary>
    private async Task<string?> ReadErrorsAsync(string execId)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_lostToken);
        timeout.CancelAfter(QuestionTimeout);
        var errors = new ModalOutput(_router, execId, TaskExecStdioFileDescriptor.Stderr, static _ => { }, timeout.Token);
        await using (errors.ConfigureAwait(false))
        {
            var text = new byte[MaxErrorText];
            try
            {
                var length = await errors.ReadAtLeastAsync(text, text.Length, throwOnEndOfStream: false, timeout.Token).ConfigureAwait(false);
                return length > 0 ? Encoding.UTF8.GetString(text, 0, length).Trim() : null;
            }
            catch (Exception error) when (error is SandboxException or OperationCanceledException or ObjectDisposedException)
            {
                return null;
            }
        }
    }
}
