using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace DeepRecall.Testing.Emulators.Daytona;

/// <summary>The API in a sandbox: commands, terminals and files.</summary>
internal sealed class DaytonaToolbox(DaytonaEmulator emulator)
{
    private const string PtyEnvs = "X-Daytona-Pty-Envs~";
    private const string ExitControl = "X-Daytona-Pty-Exit-Control";
    private const string FileBoundary = "DAYTONA-FILE-BOUNDARY";

    /// <summary>Answers a request whose path after the sandbox's id this is.</summary>
    public Task AnswerAsync(HttpContext context, DaytonaMachine machine, string path) => (context.Request.Method, path) switch
    {
        ("POST", "process/execute") => ExecuteAsync(context, machine),
        ("POST", "process/pty") => CreatePtyAsync(context, machine),
        ("GET", "process/pty/create-connect") => CreateAndConnectAsync(context, machine),
        ("GET", _) when path.StartsWith("process/pty/", StringComparison.Ordinal) && path.EndsWith("/connect", StringComparison.Ordinal) => ConnectAsync(context, machine, path.Split('/')[2]),
        ("POST", _) when path.StartsWith("process/pty/", StringComparison.Ordinal) && path.EndsWith("/resize", StringComparison.Ordinal) => DaytonaEmulator.WriteAsync(context, 200, new JsonObject { ["id"] = path.Split('/')[2] }),
        ("DELETE", _) when path.StartsWith("process/pty/", StringComparison.Ordinal) => DeletePtyAsync(context, machine, path.Split('/')[2]),
        ("POST", "files/bulk-upload") => UploadAsync(context),
        ("POST", "files/bulk-download") => DownloadManyAsync(context),
        ("GET", "files/download") => DownloadAsync(context),
        ("GET", "files/info") => InfoAsync(context),
        ("DELETE", "files") => DeleteAsync(context),
        _ => DaytonaEmulator.FailAsync(context, 404, "Not Found"),
    };

    private static async Task ExecuteAsync(HttpContext context, DaytonaMachine machine)
    {
        var request = await DaytonaEmulator.ReadAsync(context);
        var directory = request.TryGetProperty("cwd", out var cwd) ? cwd.GetString() : null;
        var start = machine.Machine.Command(["sh", "-c", "exec 2>&1; exec sh"], directory, Variables(request));
        using var process = Process.Start(start)!;
        await process.StandardInput.WriteAsync(request.GetProperty("command").GetString() + "\n");
        process.StandardInput.Close();
        var output = await process.StandardOutput.ReadToEndAsync(context.RequestAborted);
        await process.WaitForExitAsync(context.RequestAborted);
        await DaytonaEmulator.WriteAsync(context, 200, new JsonObject { ["exitCode"] = process.ExitCode, ["result"] = output });
    }

    private static IEnumerable<KeyValuePair<string, string>> Variables(JsonElement request) =>
        request.TryGetProperty("envs", out var envs) && envs.ValueKind == JsonValueKind.Object
            ? envs.EnumerateObject().Select(entry => KeyValuePair.Create(entry.Name, entry.Value.ToString()))
            : [];

    private static async Task CreatePtyAsync(HttpContext context, DaytonaMachine machine)
    {
        var request = await DaytonaEmulator.ReadAsync(context);
        var id = request.GetProperty("id").GetString()!;
        if (machine.Terminals.ContainsKey(id))
        {
            await DaytonaEmulator.FailAsync(context, 409, $"PTY session with ID '{id}' already exists");
            return;
        }

        Open(machine, id, request.TryGetProperty("cwd", out var cwd) ? cwd.GetString() : null, Variables(request));
        await DaytonaEmulator.WriteAsync(context, 201, new JsonObject { ["sessionId"] = id });
    }

    private static DaytonaPty Open(DaytonaMachine machine, string id, string? directory, IEnumerable<KeyValuePair<string, string>> variables)
    {
        var pty = machine.Terminals.GetOrAdd(id, _ => new DaytonaPty(machine.Machine, directory, variables));
        _ = ForgetAsync();
        return pty;

        async Task ForgetAsync()
        {
            await pty.Exit;
            machine.Terminals.TryRemove(id, out _);
        }
    }

    private async Task CreateAndConnectAsync(HttpContext context, DaytonaMachine machine)
    {
        var id = context.Request.Query["id"].ToString();
        var variables = context.WebSockets.WebSocketRequestedProtocols.FirstOrDefault(protocol => protocol.StartsWith(PtyEnvs, StringComparison.Ordinal)) is { } encoded
            ? JsonSerializer.Deserialize<Dictionary<string, string>>(WebEncoders.Base64UrlDecode(encoded[PtyEnvs.Length..]))!
            : [];
        Open(machine, id, context.Request.Query["cwd"] is { Count: > 0 } cwd ? cwd.ToString() : null, variables);
        await ConnectAsync(context, machine, id);
    }

    private async Task ConnectAsync(HttpContext context, DaytonaMachine machine, string id)
    {
        if (!context.WebSockets.IsWebSocketRequest)
        {
            await DaytonaEmulator.FailAsync(context, 400, "not a WebSocket");
            return;
        }

        var offered = context.WebSockets.WebSocketRequestedProtocols;
        using var socket = await context.WebSockets.AcceptWebSocketAsync(offered.Contains(ExitControl) ? ExitControl : offered.FirstOrDefault());
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, emulator.Stopping);
        if (!machine.Terminals.TryGetValue(id, out var pty))
        {
            var error = JsonSerializer.SerializeToUtf8Bytes(new { type = "control", status = "error", error = $"PTY session '{id}' not found" });
            await socket.SendAsync(error, System.Net.WebSockets.WebSocketMessageType.Text, true, stopping.Token);
            await socket.CloseAsync(System.Net.WebSockets.WebSocketCloseStatus.InternalServerError, "not found", stopping.Token);
            return;
        }

        await new DaytonaPtyClient(context, socket, pty, emulator.Faults, offered.Contains(ExitControl)).ServeAsync(stopping.Token);
    }

    private static async Task DeletePtyAsync(HttpContext context, DaytonaMachine machine, string id)
    {
        if (!machine.Terminals.TryGetValue(id, out var pty))
        {
            await DaytonaEmulator.FailAsync(context, 404, $"PTY session '{id}' not found");
            return;
        }

        pty.Kill();
        await DaytonaEmulator.WriteAsync(context, 200, new JsonObject { ["message"] = "PTY session deleted" });
    }

    private static async Task UploadAsync(HttpContext context)
    {
        var boundary = HeaderUtilities.RemoveQuotes(MediaTypeHeaderValue.Parse(context.Request.ContentType).Boundary).Value!;
        var reader = new MultipartReader(boundary, context.Request.Body);
        Dictionary<string, string> paths = new(StringComparer.Ordinal);
        while (await reader.ReadNextSectionAsync(context.RequestAborted) is { } section)
        {
            var name = HeaderUtilities.RemoveQuotes(section.GetContentDispositionHeader()!.Name).Value!;
            if (name.EndsWith(".path", StringComparison.Ordinal))
            {
                using var text = new StreamReader(section.Body);
                paths[name[..^5]] = await text.ReadToEndAsync(context.RequestAborted);
                continue;
            }

            var path = paths[name[..^5]];
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await using var file = File.Create(path);
            await section.Body.CopyToAsync(file, context.RequestAborted);
        }

        context.Response.StatusCode = 200;
    }

    private static async Task DownloadAsync(HttpContext context)
    {
        var path = context.Request.Query["path"].ToString();
        if (!File.Exists(path))
        {
            await DaytonaEmulator.FailAsync(context, 404, $"file not found: {path}", "FILE_NOT_FOUND");
            return;
        }

        context.Response.ContentType = "application/octet-stream";
        await context.Response.SendFileAsync(path, context.RequestAborted);
    }

    private static async Task DownloadManyAsync(HttpContext context)
    {
        var request = await DaytonaEmulator.ReadAsync(context);
        context.Response.ContentType = $"multipart/form-data; boundary={FileBoundary}";
        foreach (var path in request.GetProperty("paths").EnumerateArray().Select(path => path.GetString()!))
        {
            var found = File.Exists(path);
            var type = found ? "application/octet-stream" : "application/json";
            var body = found
                ? await File.ReadAllBytesAsync(path, context.RequestAborted)
                : JsonSerializer.SerializeToUtf8Bytes(new { statusCode = 404, message = $"file not found: {path}", code = "FILE_NOT_FOUND" });
            await context.Response.WriteAsync($"--{FileBoundary}\r\nContent-Disposition: form-data; name=\"{(found ? "file" : "error")}\"; filename=\"{path}\"\r\nContent-Type: {type}\r\nContent-Length: {body.Length}\r\n\r\n");
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
            await context.Response.WriteAsync("\r\n", Encoding.ASCII, context.RequestAborted);
        }

        await context.Response.WriteAsync($"--{FileBoundary}--\r\n", context.RequestAborted);
    }

    private static Task InfoAsync(HttpContext context)
    {
        var file = new FileInfo(context.Request.Query["path"].ToString());
        return !file.Exists
            ? DaytonaEmulator.FailAsync(context, 404, $"file not found: {file.FullName}", "FILE_NOT_FOUND")
            : DaytonaEmulator.WriteAsync(context, 200, new JsonObject
            {
                ["name"] = file.Name,
                ["size"] = file.Length,
                ["isDir"] = false,
                ["mode"] = "-rw-r--r--",
                ["permissions"] = "0644",
                ["owner"] = "daytona",
                ["group"] = "daytona",
                ["modTime"] = "2026-11-24 10:00:00 +0000 UTC",
                ["modifiedAt"] = "2026-11-24T10:00:00Z",
            });
    }

    private static Task DeleteAsync(HttpContext context)
    {
        File.Delete(context.Request.Query["path"].ToString());
        context.Response.StatusCode = 204;
        return Task.CompletedTask;
    }
}
