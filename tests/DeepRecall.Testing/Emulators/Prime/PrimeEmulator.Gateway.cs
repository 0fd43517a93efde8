using System.Diagnostics;
using System.Text.Json.Nodes;
using DeepRecall.Sandboxes.Connect;
using DeepRecall.Sandboxes.Prime.Wire;
using DeepRecall.Testing.Emulators.Connect;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators.Prime;

// What is reached in a sandbox: the command service (binary codec) of virtual machines; commands and files of both kinds.
public sealed partial class PrimeEmulator
{
    private Task RouteToGatewayAsync(HttpContext context, EmulatedRequest request, string job, string[] path)
    {
        if (!_sandboxes.TryGetValue(job, out var sandbox))
        {
            return FailAsync(context, 502, string.Empty, """{"error":"sandbox_not_found"}""");
        }

        var token = request.Headers.GetValueOrDefault("Authorization")?.Replace("Bearer ", string.Empty, StringComparison.Ordinal) ?? string.Empty;
        if (!sandbox.Tokens.TryGetValue(token, out var end) || end < TimeProvider.System.GetUtcNow())
        {
            return FailAsync(context, 401, "token is not valid, or expired");
        }

        return path switch
        {
            ["exec"] => ExecAsync(context, sandbox, request),
            ["upload"] => UploadAsync(context, sandbox.Machine),
            ["download"] => DownloadAsync(context, sandbox.Machine),
            ["command_session.CommandSession", var method] when sandbox.IsVm => RouteToSessionsAsync(context, sandbox, method),
            _ => FailAsync(context, 404, "Not Found"),
        };
    }

    private Task RouteToSessionsAsync(HttpContext context, EmulatedPrimeSandbox sandbox, string method) => method switch
    {
        "Start" => StreamAsync(
            context,
            body => Start(sandbox.Machine, StartRequest.Parser.ParseFrom(body)),
            happened => new StartResponse { Event = Write(happened) }.ToByteArray()),
        "Connect" => StreamAsync(
            context,
            body =>
            {
                var process = Find(sandbox.Machine, ConnectRequest.Parser.ParseFrom(body).Session);
                return (process, process.Subscribe());
            },
            happened => new ConnectResponse { Event = Write(happened) }.ToByteArray()),
        "SendInput" => AnswerAsync(context, body => SendInputAsync(context, sandbox, SendInputRequest.Parser.ParseFrom(body))),
        "SendSignal" => AnswerAsync(context, body =>
        {
            var request = SendSignalRequest.Parser.ParseFrom(body);
            Find(sandbox.Machine, request.Session).Signal((int)request.Signal);
            return Task.FromResult<byte[]>([]);
        }),
        "List" => AnswerAsync(context, _ =>
        {
            var list = new ListResponse();
            list.Sessions.AddRange(sandbox.Machine.Processes.Select(process => new CommandSessionInfo { Pid = process.Pid, Command = new CommandSpec { Cmd = process.Command.Command, Args = { process.Command.Arguments } } }));
            return Task.FromResult(list.ToByteArray());
        }),
        _ => FailAsync(context, 404, "Not Found"),
    };

    private static (EmulatedProcess Process, System.Threading.Channels.ChannelReader<ProcessEvent> Events) Start(EmulatedMachine machine, StartRequest request)
    {
        if (request.HasSessionUuid && machine.FindById(request.SessionUuid) is { } running)
        {
            return (running, running.Subscribe());
        }

        var command = new ProcessCommand(
            request.Command.Cmd,
            request.Command.Args,
            request.Command.HasCwd ? request.Command.Cwd : null,
            request.HasSessionUuid ? request.SessionUuid : null,
            !request.HasStdin || request.Stdin);
        return machine.Start(command, request.Command.Envs);
    }

    private static EmulatedProcess Find(EmulatedMachine machine, CommandSessionSelector session) =>
        session.HasPid ? machine.Find(session.Pid, null) : machine.Find(null, session.SessionUuid);

    private async Task<byte[]> SendInputAsync(HttpContext context, EmulatedPrimeSandbox sandbox, SendInputRequest request)
    {
        var process = Find(sandbox.Machine, request.Session);
        if (process.HasEnded)
        {
            throw new ConnectException(ConnectException.NotFound, "the process has ended");
        }

        if (!request.HasInputUuid || sandbox.Inputs.TryAdd(request.InputUuid, true))
        {
            await WriteInputAsync(context, process, request.Input.Stdin.Memory);
        }

        return [];
    }

    private static CommandSessionEvent Write(ProcessEvent happened) => happened.Kind switch
    {
        ProcessEventKind.Started => new() { Start = new() { Pid = happened.Pid } },
        ProcessEventKind.Output => new() { Data = new() { Stdout = ByteString.CopyFrom(happened.Data.Span) } },
        ProcessEventKind.Error => new() { Data = new() { Stderr = ByteString.CopyFrom(happened.Data.Span) } },
        ProcessEventKind.Ended when happened.Exit!.Signal is { } signal => new() { End = new() { ExitCode = -1, Status = ProcessExits.Status(signal), Error = ProcessExits.Status(signal) } },
        ProcessEventKind.Ended => new() { End = new() { ExitCode = happened.Exit!.ExitCode ?? 0, Exited = true, Status = $"exit status {happened.Exit.ExitCode}" } },
        _ => new() { Keepalive = new() },
    };

    private async Task ExecAsync(HttpContext context, EmulatedPrimeSandbox sandbox, EmulatedRequest request)
    {
        var body = JsonNode.Parse(request.Body)!;
        var fault = Faults.NextInput((string)body["command"]!);
        if (fault is { BytesWritten: 0 })
        {
            context.Abort();
            return;
        }

        var command = new ProcessCommand("/bin/bash", ["-c", (string)body["command"]!], (string?)body["working_dir"]);
        var (process, events) = sandbox.Machine.Start(command, null);
        using var limit = new Timer(_ => process.Signal(9), null, TimeSpan.FromSeconds((int?)body["timeout"] ?? 300), Timeout.InfiniteTimeSpan);
        using var output = new MemoryStream();
        using var errors = new MemoryStream();
        var started = Stopwatch.GetTimestamp();
        await foreach (var happened in events.ReadAllAsync(context.RequestAborted))
        {
            (happened.Kind == ProcessEventKind.Error ? errors : output).Write(happened.Data.Span);
            if (happened.Kind != ProcessEventKind.Ended)
            {
                continue;
            }

            if (fault is { Answer: not null })
            {
                context.Response.Headers.RetryAfter = "0";
                await FailAsync(context, 503, "injected");
                return;
            }

            if (fault is not null)
            {
                context.Abort();
                return;
            }

            if (happened.Exit!.Signal == 9 && Stopwatch.GetElapsedTime(started).TotalSeconds >= ((int?)body["timeout"] ?? 300))
            {
                await FailAsync(context, 408, "command timed out");
                return;
            }

            await WriteJsonAsync(context, new JsonObject
            {
                ["stdout"] = System.Text.Encoding.UTF8.GetString(output.ToArray()),
                ["stderr"] = System.Text.Encoding.UTF8.GetString(errors.ToArray()),
                ["exit_code"] = happened.Exit.ExitCode ?? 128 + happened.Exit.Signal,
            });
        }
    }

    private async Task UploadAsync(HttpContext context, EmulatedMachine machine)
    {
        var target = machine.Resolve(context.Request.Query["path"]!);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var content = form.Files.GetFile("file");
        if (content is null)
        {
            await FailAsync(context, 422, "field 'file' is missing");
            return;
        }

        await using (var file = File.Create(target))
        {
            await content.CopyToAsync(file, context.RequestAborted);
        }

        await WriteJsonAsync(context, new JsonObject { ["success"] = true, ["path"] = target, ["size"] = content.Length, ["timestamp"] = TimeProvider.System.GetUtcNow().ToString("O") });
    }

    private async Task DownloadAsync(HttpContext context, EmulatedMachine machine)
    {
        var source = machine.Resolve(context.Request.Query["path"]!);
        if (!File.Exists(source))
        {
            await FailAsync(context, 404, "file not found");
            return;
        }

        await context.Response.SendFileAsync(source, context.RequestAborted);
    }
}
