using System.Text;
using System.Text.Json.Nodes;
using DeepRecall.Sandboxes.Connect;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators.Connect;
using Microsoft.AspNetCore.Http;

namespace DeepRecall.Testing.Emulators.E2B;

// What runs in the sandbox: the process service (JSON codec), files, health.
public sealed partial class E2BEmulator
{
    private Task RouteToEnvdAsync(HttpContext context, EmulatedRequest request, string[] path)
    {
        // The proxy before the sandbox goes by this header where the host's name does not tell the sandbox.
        var id = request.Headers.GetValueOrDefault("E2b-Sandbox-Id") ?? string.Empty;
        if (!_sandboxes.TryGetValue(id, out var sandbox))
        {
            return FailAsync(context, 502, string.Empty, new JsonObject { ["sandboxId"] = id, ["message"] = "The sandbox was not found", ["code"] = 502 }.ToJsonString());
        }

        if (path is ["health"])
        {
            context.Response.StatusCode = 204;
            return Task.CompletedTask;
        }

        if (request.Headers.GetValueOrDefault("X-Access-Token") != sandbox.AccessToken)
        {
            return FailAsync(context, 401, "unauthorized access, please provide a valid access token or method signing if supported");
        }

        var machine = sandbox.Machine;
        return (request.Method, path) switch
        {
            ("POST", ["files"]) => WriteFilesAsync(context, machine),
            ("GET", ["files"]) => ReadFileAsync(context, machine),
            ("POST", [_, "Start"]) => StreamAsync(context, body => Start(machine, JsonNode.Parse(body)!), WriteEvent),
            ("POST", [_, "Connect"]) => StreamAsync(
                context,
                body =>
                {
                    var process = Find(machine, JsonNode.Parse(body)!);
                    return (process, process.Subscribe());
                },
                WriteEvent),
            ("POST", [_, "SendInput"]) => AnswerJsonAsync(context, async body =>
            {
                var bytes = (string?)body["input"]?["stdin"] ?? throw new ConnectException("unimplemented", "there is no stdin in it");
                await WriteInputAsync(context, Find(machine, body), Convert.FromBase64String(bytes));
                return [];
            }),
            ("POST", [_, "CloseStdin"]) => AnswerJsonAsync(context, async body =>
            {
                await Find(machine, body).CloseInputAsync();
                return [];
            }),
            ("POST", [_, "SendSignal"]) => AnswerJsonAsync(context, body =>
            {
                Find(machine, body).Signal((string?)body["signal"] switch
                {
                    "SIGNAL_SIGKILL" => 9,
                    "SIGNAL_SIGTERM" => 15,
                    var other => throw new ConnectException("unimplemented", $"signal {other}"),
                });
                return Task.FromResult(new JsonObject());
            }),
            ("POST", [_, "List"]) => AnswerJsonAsync(context, _ => Task.FromResult(new JsonObject
            {
                ["processes"] = new JsonArray([.. machine.Processes.Select(process => new JsonObject
                {
                    ["config"] = new JsonObject { ["cmd"] = process.Command.Command, ["args"] = new JsonArray([.. process.Command.Arguments.Select(argument => (JsonNode)argument)]) },
                    ["pid"] = process.Pid,
                    ["tag"] = process.Command.Id,
                })]),
            })),
            _ => FailAsync(context, 404, "404 page not found"),
        };
    }

    private static Task AnswerJsonAsync(HttpContext context, Func<JsonNode, Task<JsonObject>> call) =>
        AnswerAsync(context, async body => Encoding.UTF8.GetBytes((await call(JsonNode.Parse(body)!)).ToJsonString()));

    private static (EmulatedProcess Process, System.Threading.Channels.ChannelReader<ProcessEvent> Events) Start(EmulatedMachine machine, JsonNode body)
    {
        var config = body["process"] ?? throw new ConnectException("invalid_argument", "there is no process in it");
        var command = new ProcessCommand(
            (string)config["cmd"]!,
            [.. (config["args"]?.AsArray() ?? []).Select(argument => (string)argument!)],
            (string?)config["cwd"],
            (string?)body["tag"],
            (bool?)body["stdin"] ?? true);
        return machine.Start(command, Map(config["envs"]));
    }

    private static EmulatedProcess Find(EmulatedMachine machine, JsonNode body)
    {
        var process = machine.Find((uint?)body["process"]?["pid"], (string?)body["process"]?["tag"]);

        // Only the way it ended is kept, for a client that attaches.
        return process.HasEnded && body["input"] is not null ? throw new ConnectException(ConnectException.NotFound, "the process has ended") : process;
    }

    private static byte[] WriteEvent(ProcessEvent happened)
    {
        var body = happened.Kind switch
        {
            ProcessEventKind.Started => new JsonObject { ["start"] = new JsonObject { ["pid"] = happened.Pid } },
            ProcessEventKind.Output => new JsonObject { ["data"] = new JsonObject { ["stdout"] = Convert.ToBase64String(happened.Data.Span) } },
            ProcessEventKind.Error => new JsonObject { ["data"] = new JsonObject { ["stderr"] = Convert.ToBase64String(happened.Data.Span) } },
            ProcessEventKind.Ended => new JsonObject { ["end"] = WriteExit(happened.Exit!) },
            _ => new JsonObject { ["keepalive"] = new JsonObject() },
        };
        return Encoding.UTF8.GetBytes(new JsonObject { ["event"] = body }.ToJsonString());
    }

    /// <summary>How it ended, without the members that are zero, which Go's proto3 JSON leaves out.</summary>
    private static JsonObject WriteExit(SandboxExit exit) => exit switch
    {
        { Signal: { } signal } => new JsonObject { ["exitCode"] = -1, ["status"] = ProcessExits.Status(signal), ["error"] = ProcessExits.Status(signal) },
        { ExitCode: 0 } => new JsonObject { ["exited"] = true, ["status"] = "exit status 0" },
        _ => new JsonObject { ["exitCode"] = exit.ExitCode, ["exited"] = true, ["status"] = $"exit status {exit.ExitCode}", ["error"] = $"exit status {exit.ExitCode}" },
    };

    private async Task WriteFilesAsync(HttpContext context, EmulatedMachine machine)
    {
        string? path = context.Request.Query["path"];
        var written = new JsonArray();
        if (context.Request.HasFormContentType)
        {
            var form = await context.Request.ReadFormAsync(context.RequestAborted);
            foreach (var file in form.Files.Where(file => file.Name == "file"))
            {
                using var content = file.OpenReadStream();
                written.Add(await WriteFileAsync(machine, path ?? file.FileName, content, context.RequestAborted));
            }
        }
        else if (path is not null)
        {
            written.Add(await WriteFileAsync(machine, path, context.Request.Body, context.RequestAborted));
        }
        else
        {
            await FailAsync(context, 400, "a path is needed");
            return;
        }

        await WriteJsonAsync(context, written);
    }

    private static async Task<JsonNode> WriteFileAsync(EmulatedMachine machine, string path, Stream content, CancellationToken cancellationToken)
    {
        var target = machine.Resolve(path);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        await using var file = File.Create(target);
        await content.CopyToAsync(file, cancellationToken);
        return new JsonObject { ["path"] = target, ["name"] = Path.GetFileName(target), ["type"] = "file" };
    }

    private async Task ReadFileAsync(HttpContext context, EmulatedMachine machine)
    {
        string path = context.Request.Query["path"]!;
        var source = machine.Resolve(path);
        if (!File.Exists(source))
        {
            await FailAsync(context, Directory.Exists(source) ? 400 : 404, Directory.Exists(source) ? $"path '{path}' is a directory" : $"path '{path}' does not exist");
            return;
        }

        context.Response.ContentType = "application/octet-stream";
        await context.Response.SendFileAsync(source, context.RequestAborted);
    }
}
