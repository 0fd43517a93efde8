using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Modal.Wire;
using DeepRecall.Sandboxing;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Api = DeepRecall.Sandboxes.Modal.Wire.TaskCommandRouter.TaskCommandRouterClient;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>The command router of one sandbox: runs commands in it, on a connection of its own.</summary>
/// <remarks>Every call may be made again after a failure, because starts have an id and streams have offsets: nothing is lost or done twice.</remarks>
internal sealed class ModalRouter : IDisposable
{
    /// <summary>How long a wait for a command's end takes at most before it is asked for again.</summary>
    private static readonly TimeSpan WaitTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan RefreshMargin = TimeSpan.FromSeconds(30);

    private readonly ModalClient _client;
    private readonly ModalTask _task;
    private readonly ModalRetry _retry;
    private readonly GrpcChannel _channel;
    private readonly Api _api;
    private readonly SemaphoreSlim _refreshing = new(1, 1);
    private Pass _pass;

    public ModalRouter(ModalClient client, ModalTask task)
    {
        _client = client;
        _task = task;
        _retry = new ModalRetry(client.Host.Time);
        _pass = PassOf(task.Access);
        var address = ModalChannel.RouterAddress(task.Access.Url, client.Server)
            ?? throw client.Errors.Failed(SandboxErrorKind.Server, $"find the sandbox {task.SandboxId}", $"its address is '{task.Access.Url}'");
        _channel = ModalChannel.Create(address, client.Host);
        _api = new Api(_channel);
    }

    public ModalErrors Errors => _client.Errors;

    public TimeProvider Time => _client.Host.Time;

    /// <summary>Starts a command.</summary>
    /// <returns>The id under which the other calls know it.</returns>
    public async Task<string> StartAsync(IEnumerable<string> command, CancellationToken cancellationToken)
    {
        var request = new TaskExecStartRequest
        {
            TaskId = _task.TaskId,
            ExecId = Guid.NewGuid().ToString(),
            StdoutConfig = TaskExecStdoutConfig.Pipe,
            StderrConfig = TaskExecStderrConfig.Pipe,
        };
        request.CommandArgs.Add(command);
        await CallAsync("start a command", (api, options) => api.TaskExecStartAsync(request, options), cancellationToken).ConfigureAwait(false);
        return request.ExecId;
    }

    /// <summary>Writes to a command's standard input at its offset; what was written there before is not written twice.</summary>
    public Task WriteAsync(string execId, long offset, ReadOnlyMemory<byte> data, bool eof, CancellationToken cancellationToken)
    {
        // Unsafe only for a buffer that changes before the call is over.
        var request = new TaskExecStdinWriteRequest { TaskId = _task.TaskId, ExecId = execId, Offset = (ulong)offset, Data = UnsafeByteOperations.UnsafeWrap(data), Eof = eof };
        return CallAsync("write to the sandbox", (api, options) => api.TaskExecStdinWriteAsync(request, options), cancellationToken);
    }

    /// <summary>Waits for a command's end.</summary>
    /// <returns>Its exit code or its signal.</returns>
    public async Task<(int? Code, int? Signal)> WaitAsync(string execId, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                var request = new TaskExecWaitRequest { TaskId = _task.TaskId, ExecId = execId };
                var exit = await CallAsync("wait for a command", (api, options) => api.TaskExecWaitAsync(request, options), cancellationToken, WaitTimeout, retryDeadline: false).ConfigureAwait(false);
                return exit.ExitStatusCase == TaskExecWaitResponse.ExitStatusOneofCase.Signal ? (null, exit.Signal) : (exit.Code, null);
            }
            catch (SandboxException error) when (error.Kind == SandboxErrorKind.Timeout)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>Opens the stream of what a command writes, from an offset on.</summary>
    public async Task<AsyncServerStreamingCall<TaskExecStdioReadResponse>> ReadAsync(string execId, TaskExecStdioFileDescriptor descriptor, long offset, CancellationToken cancellationToken)
    {
        var pass = await GetPassAsync(cancellationToken).ConfigureAwait(false);
        var request = new TaskExecStdioReadRequest { TaskId = _task.TaskId, ExecId = execId, FileDescriptor = descriptor, Offset = (ulong)offset };
        return _api.TaskExecStdioRead(request, pass.Headers, cancellationToken: cancellationToken);
    }

    /// <summary>What is done after a failure of such a stream, before it is opened again.</summary>
    /// <returns>False when it is not to be opened again.</returns>
    public async Task<bool> PrepareRetryAsync(RpcException error, int attempt, CancellationToken cancellationToken)
    {
        if (error.StatusCode == StatusCode.Unauthenticated)
        {
            // It may have expired on the way, also after other failures; whether there is to be a new one, the control API says.
            _pass = _pass with { RefreshAt = DateTimeOffset.MinValue };
            if (attempt + 1 >= BackOff.Reconnects.Attempts)
            {
                return false;
            }

            await Task.Delay(attempt == 0 ? TimeSpan.Zero : BackOff.Reconnects.WaitAfter(attempt), _client.Host.Time, cancellationToken).ConfigureAwait(false);
            return true;
        }

        return await _retry.WaitAsync(error, attempt, BackOff.Reconnects, cancellationToken).ConfigureAwait(false);
    }

    public void Dispose()
    {
        _channel.Dispose();
        _refreshing.Dispose();
    }

    private async Task<T> CallAsync<T>(
        string action,
        Func<Api, CallOptions, AsyncUnaryCall<T>> call,
        CancellationToken cancellationToken,
        TimeSpan? timeout = null,
        bool retryDeadline = true)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                var pass = await GetPassAsync(cancellationToken).ConfigureAwait(false);
                using var sent = call(_api, new CallOptions(pass.Headers, TimeProvider.System.GetUtcNow().UtcDateTime + (timeout ?? CallTimeout), cancellationToken));
                return await sent.ResponseAsync.ConfigureAwait(false);
            }
            catch (RpcException error)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if ((error.StatusCode == StatusCode.DeadlineExceeded && !retryDeadline) || !await PrepareRetryAsync(error, attempt, cancellationToken).ConfigureAwait(false))
                {
                    throw Errors.Of(error, action);
                }
            }
        }
    }

    private async ValueTask<Pass> GetPassAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _pass) is var current && _client.Host.Time.GetUtcNow() < current.RefreshAt)
        {
            return current;
        }

        await _refreshing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_client.Host.Time.GetUtcNow() >= _pass.RefreshAt)
            {
                _pass = PassOf(await _client.GetAccessAsync(_task.SandboxId, cancellationToken).ConfigureAwait(false));
            }

            return _pass;
        }
        catch (SandboxException error) when (error.Kind is SandboxErrorKind.Connection or SandboxErrorKind.Server or SandboxErrorKind.Timeout)
        {
            // As if the call itself had failed, which is then tried again.
            throw new RpcException(new Status(StatusCode.Unavailable, error.Message));
        }
        finally
        {
            _refreshing.Release();
        }
    }

    private static Pass PassOf(CommandRouterAccess access) => new(
        new Metadata { { "authorization", $"Bearer {access.Jwt}" } },
        JsonWebToken.Expiry(access.Jwt) is { } expiry ? expiry - RefreshMargin : DateTimeOffset.MaxValue);

    private sealed record Pass(Metadata Headers, DateTimeOffset RefreshAt);
}
