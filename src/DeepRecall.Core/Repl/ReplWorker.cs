using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DeepRecall.Sandboxing;

namespace DeepRecall.Repl;

/// <summary>One worker process, from its start to its end, and the bridge to it.</summary>
internal sealed class ReplWorker : IRpcHandler, IAsyncDisposable
{
    private readonly ISandboxProcess _process;
    private readonly RpcPeer _peer;
    private readonly string _nonce;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Func<CallParams, CancellationToken, Task<HostReply>> _callHost;
    private readonly CancellationTokenSource _reading = new();
    private readonly Task _readingTask;
    private volatile RunningCell? _cell;

    private ReplWorker(ISandboxProcess process, string nonce, Func<CallParams, CancellationToken, Task<HostReply>> callHost)
    {
        _process = process;
        _nonce = nonce;
        _callHost = callHost;
        _peer = new RpcPeer(process.Input, process.Output, ReplSettings.MaxMessageBytes, this);
        _readingTask = _peer.RunAsync(_reading.Token);
        process.Resumed += OnResumed;
    }

    /// <summary>Starts a worker and waits until it says that it is ready.</summary>
    /// <exception cref="SandboxException">The sandbox did not start, or its worker ended at once.</exception>
    public static async Task<ReplWorker> StartAsync(
        ISandbox sandbox,
        Func<CallParams, CancellationToken, Task<HostReply>> callHost,
        CancellationToken cancellationToken)
    {
        var nonce = Guid.NewGuid().ToString("N");
        var request = new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = nonce };
        var process = await StartProcessAsync(sandbox, request, cancellationToken).ConfigureAwait(false);
        var worker = new ReplWorker(process, process.Nonce ?? nonce, callHost);
        try
        {
            await Task.WhenAny(worker._ready.Task, worker._readingTask).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (!worker._ready.Task.IsCompleted)
            {
                throw new SandboxException($"The worker in the sandbox '{sandbox.Name}' ended before it was ready: {await worker.DescribeEndAsync(cancellationToken).ConfigureAwait(false)}.");
            }

            return worker;
        }
        catch
        {
            await worker.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>What isolates the worker, as its environment tells.</summary>
    public SandboxIsolation? Isolation => _process.Isolation;

    private static async Task<ISandboxProcess> StartProcessAsync(ISandbox sandbox, SandboxStartRequest request, CancellationToken cancellationToken)
    {
        var starting = sandbox.StartAsync(request, cancellationToken);
        try
        {
            return await starting.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // A sandbox that does not heed its token: what it starts in the end is not wanted any more.
            _ = DisposeWhenStartedAsync(starting);
            throw;
        }
    }

    private static async Task DisposeWhenStartedAsync(Task<ISandboxProcess> starting)
    {
        await ((Task)starting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (starting.IsCompletedSuccessfully)
        {
            var process = await starting.ConfigureAwait(false);
            await process.DisposeAsync().ConfigureAwait(false);
        }
    }

    public Task<TResult> RequestAsync<TParams, TResult>(
        string method,
        TParams parameters,
        JsonTypeInfo<TParams> parametersType,
        JsonTypeInfo<TResult> resultType,
        CancellationToken cancellationToken) =>
        _peer.RequestAsync(method, parameters, parametersType, resultType, cancellationToken);

    public Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken) =>
        _process.UploadAsync(name, write, cancellationToken);

    public Task SealAsync(CancellationToken cancellationToken) => _process.SealAsync(cancellationToken);

    /// <summary>Runs code as <paramref name="cell"/>, whose calls and output come while it runs.</summary>
    public async Task<ExecuteResult> ExecuteAsync(RunningCell cell, string code, bool reopen)
    {
        _cell = cell;
        try
        {
            return await RequestAsync(
                "execute",
                new ExecuteParams(cell.Number, code, reopen ? true : null),
                ProtocolJson.Default.ExecuteParams,
                ProtocolJson.Default.ExecuteResult,
                CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            _cell = null;
            cell.CancelCalls();
            _peer.ForgetCalls();
        }
    }

    /// <summary>Interrupts the cell; one whose interrupt is not sent within the limit is as one that does not heed it.</summary>
    public async Task InterruptAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        using var sending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        sending.CancelAfter(limit);
        try
        {
            if (!await _process.InterruptAsync(sending.Token).WaitAsync(sending.Token).ConfigureAwait(false))
            {
                await _peer.NotifyAsync("interrupt", sending.Token).WaitAsync(sending.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The cell is killed when its grace is over.
        }
    }

    public Task KillAsync(CancellationToken cancellationToken) => _process.KillAsync(cancellationToken).WaitAsync(cancellationToken);

    /// <summary>Says how a worker that is gone, or whose stream broke, ended.</summary>
    public async Task<string> DescribeEndAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            return (await _process.Exited.WaitAsync(TimeSpan.FromSeconds(5), cancellationToken).ConfigureAwait(false)).ToString();
        }
        catch (TimeoutException)
        {
            return "its message stream broke";
        }
    }

    public async Task<HostReply> OnCallAsync(CallParams call)
    {
        if (_cell is not { } cell)
        {
            throw new InvalidOperationException("no cell is running; a call must be made, and waited for, in a cell");
        }

        var wait = cell.Clock.BeginWait();
        try
        {
            return await _callHost(call, cell.CallsToken).ConfigureAwait(false);
        }
        finally
        {
            cell.Clock.EndWait(wait);
        }
    }

    public void OnNotification(string method, ReadOnlySpan<byte> parameters)
    {
        try
        {
            if (method == "ready" && JsonSerializer.Deserialize(parameters, ProtocolJson.Default.ReadyParams)?.Nonce == _nonce)
            {
                _ready.TrySetResult();
            }
            else if (method == "output" && JsonSerializer.Deserialize(parameters, ProtocolJson.Default.OutputParams) is { } output)
            {
                _cell?.AddOutput(output);
            }
        }
        catch (JsonException)
        {
        }
    }

    private void OnResumed(object? sender, EventArgs e) => _ = _peer.ResumeAsync();

    public async ValueTask DisposeAsync()
    {
        _process.Resumed -= OnResumed;
        await _process.DisposeAsync().ConfigureAwait(false);
        await _reading.CancelAsync().ConfigureAwait(false);
        await _readingTask.ConfigureAwait(false);
        _reading.Dispose();
    }
}
