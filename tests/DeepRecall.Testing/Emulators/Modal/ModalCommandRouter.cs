using DeepRecall.Sandboxes.Modal.Wire;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Connections.Features;

namespace DeepRecall.Testing.Emulators.Modal;

/// <summary>The command router: runs commands as local processes.</summary>
internal sealed class ModalCommandRouter(ModalState state) : TaskCommandRouter.TaskCommandRouterBase
{
    private const string FileTool = "/__modal/.bin/modal-sandbox-fs-tools";

    // What Modal has in every sandbox for its SDKs' files API: one JSON argument, the file's bytes on the standard streams.
    private const string FileToolProgram = """
        import json, sys
        ((action, params),) = json.loads(sys.argv[1]).items()
        try:
            if action == "WriteFile":
                data = sys.stdin.buffer.read()
                with open(params["path"], "wb") as file:
                    file.write(data)
            elif action == "ReadFile":
                with open(params["path"], "rb") as file:
                    sys.stdout.buffer.write(file.read())
            else:
                raise OSError("unknown action " + action)
        except FileNotFoundError as error:
            sys.exit(json.dumps({"error_kind": "NotFound", "message": str(error), "detail": ""}))
        except OSError as error:
            sys.exit(json.dumps({"error_kind": "Other", "message": str(error), "detail": ""}))
        """;

    public override Task<TaskExecStartResponse> TaskExecStart(TaskExecStartRequest request, ServerCallContext context)
    {
        var machine = state.FindTask(request.TaskId);
        if (request.StderrConfig == TaskExecStderrConfig.Stdout)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, "stderr cannot be merged"));
        }

        machine.Execs.GetOrAdd(request.ExecId, _ =>
        {
            IEnumerable<string> command = request.CommandArgs[0] == FileTool ? ["python3", "-c", FileToolProgram, .. request.CommandArgs.Skip(1)] : request.CommandArgs;
            var variables = state.VariablesOf([], request.SecretSources).Concat(request.Env);
            return new ModalExec(
                machine.Machine.Command(command, request.HasWorkdir ? request.Workdir : null, variables),
                request.HasTimeoutSecs && request.TimeoutSecs > 0 ? TimeSpan.FromSeconds(request.TimeoutSecs) : null);
        });
        return Task.FromResult(new TaskExecStartResponse());
    }

    public override async Task TaskExecStdioRead(TaskExecStdioReadRequest request, IServerStreamWriter<TaskExecStdioReadResponse> responseStream, ServerCallContext context)
    {
        var exec = Find(request.TaskId, request.ExecId);
        var log = request.FileDescriptor == TaskExecStdioFileDescriptor.Stdout ? exec.Output : exec.Errors;
        var left = request.FileDescriptor == TaskExecStdioFileDescriptor.Stdout ? state.Emulator.Faults.CutOutput() : null;
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, state.Emulator.Stopping);
        for (var offset = (long)request.Offset; ;)
        {
            var most = (int)Math.Min(state.Emulator.Faults.ChunkSize, left ?? long.MaxValue);
            var data = most > 0 ? await log.ReadAsync(offset, most, stopping.Token) : [];
            if (data.Length > 0)
            {
                await responseStream.WriteAsync(new TaskExecStdioReadResponse { Data = ByteString.CopyFrom(data) }, stopping.Token);
            }
            else if (most > 0)
            {
                return;
            }

            offset += data.Length;
            left -= data.Length;
            if (left <= 0)
            {
                throw Break(context);
            }
        }
    }

    public override async Task<TaskExecStdinWriteResponse> TaskExecStdinWrite(TaskExecStdinWriteRequest request, ServerCallContext context)
    {
        var exec = Find(request.TaskId, request.ExecId);
        var fault = state.Emulator.Faults.Write();
        if (fault == WriteFault.Lost)
        {
            throw Break(context);
        }

        if (fault == WriteFault.Half)
        {
            await exec.WriteAsync(request.Offset, request.Data.Memory[..(request.Data.Length / 2)], eof: false);
            throw Break(context);
        }

        await exec.WriteAsync(request.Offset, request.Data.Memory, request.Eof);
        return fault == WriteFault.Unanswered ? throw Break(context) : new TaskExecStdinWriteResponse();
    }

    public override async Task<TaskExecStdinWriteStreamResponse> TaskExecStdinWriteStream(IAsyncStreamReader<TaskExecStdinWriteStreamRequest> requestStream, ServerCallContext context)
    {
        ModalExec? exec = null;
        var offset = 0UL;
        await foreach (var message in requestStream.ReadAllAsync(context.CancellationToken))
        {
            switch (message.PayloadCase)
            {
                case TaskExecStdinWriteStreamRequest.PayloadOneofCase.Start:
                    exec = Find(message.Start.TaskId, message.Start.ExecId);
                    offset = message.Start.Offset;
                    break;
                case TaskExecStdinWriteStreamRequest.PayloadOneofCase.Data:
                    await Started().WriteAsync(offset, message.Data.Memory, eof: false);
                    offset += (ulong)message.Data.Length;
                    break;
                case TaskExecStdinWriteStreamRequest.PayloadOneofCase.End:
                    await Started().WriteAsync(offset, ReadOnlyMemory<byte>.Empty, eof: true);
                    break;
            }
        }

        return new TaskExecStdinWriteStreamResponse();

        ModalExec Started() => exec ?? throw new RpcException(new Status(StatusCode.InvalidArgument, "the stream has no start"));
    }

    public override Task<TaskExecStdinStatusResponse> TaskExecStdinStatus(TaskExecStdinStatusRequest request, ServerCallContext context)
    {
        var exec = Find(request.TaskId, request.ExecId);
        return Task.FromResult(new TaskExecStdinStatusResponse { NumBytesWritten = exec.Written, Closed = exec.Closed });
    }

    public override async Task<TaskExecPollResponse> TaskExecPoll(TaskExecPollRequest request, ServerCallContext context)
    {
        var exit = Find(request.TaskId, request.ExecId).Exit;
        if (!exit.IsCompleted)
        {
            return new TaskExecPollResponse();
        }

        var (code, signal) = LocalMachine.ExitOf(await exit);
        return code is { } number ? new TaskExecPollResponse { Code = number } : new TaskExecPollResponse { Signal = signal!.Value };
    }

    public override async Task<TaskExecWaitResponse> TaskExecWait(TaskExecWaitRequest request, ServerCallContext context)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, state.Emulator.Stopping);
        var (code, signal) = LocalMachine.ExitOf(await Find(request.TaskId, request.ExecId).Exit.WaitAsync(stopping.Token));
        return code is { } number ? new TaskExecWaitResponse { Code = number } : new TaskExecWaitResponse { Signal = signal!.Value };
    }

    private ModalExec Find(string taskId, string execId) =>
        state.FindTask(taskId).Execs.TryGetValue(execId, out var exec) ? exec : throw new RpcException(new Status(StatusCode.NotFound, $"exec {execId} not found"));

    private static RpcException Break(ServerCallContext context)
    {
        context.GetHttpContext().Features.Get<IConnectionLifetimeFeature>()?.Abort();
        return new RpcException(new Status(StatusCode.Unavailable, "the connection breaks"));
    }
}
