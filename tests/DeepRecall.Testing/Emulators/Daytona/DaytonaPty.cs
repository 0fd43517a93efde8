using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace DeepRecall.Testing.Emulators.Daytona;

/// <summary>A shell behind a real terminal. What it shows goes to the clients that are there, and is lost when there is none.</summary>
internal sealed class DaytonaPty
{
    // Relays between its own streams and a terminal, both ways at once, and ends as the shell does.
    private const string Helper = """
        import os, pty, sys, threading
        pid, master = pty.fork()
        if pid == 0:
            os.execvp('bash', ['bash', '-i', '-l'])
        def feed():
            while True:
                data = os.read(0, 65536)
                if not data:
                    return
                while data:
                    data = data[os.write(master, data):]
        threading.Thread(target=feed, daemon=True).start()
        while True:
            try:
                data = os.read(master, 32768)
            except OSError:
                break
            if not data:
                break
            while data:
                data = data[os.write(1, data):]
        status = os.waitpid(pid, 0)[1]
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 255)
        """;

    private readonly ConcurrentDictionary<DaytonaPtyClient, bool> _clients = new();
    private readonly Process _process;
    private readonly SemaphoreSlim _writing = new(1, 1);

    public DaytonaPty(LocalMachine machine, string? directory, IEnumerable<KeyValuePair<string, string>> variables)
    {
        _process = Process.Start(machine.Command(["python3", "-c", Helper], directory, [new("TERM", "xterm-256color"), .. variables]))!;
        Exit = RunAsync();
    }

    /// <summary>The exit code as the service tells it: -1 for a signal.</summary>
    public Task<int> Exit { get; }

    public void Attach(DaytonaPtyClient client) => _clients[client] = true;

    public void Detach(DaytonaPtyClient client) => _clients.TryRemove(client, out _);

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        await _writing.WaitAsync();
        try
        {
            await _process.StandardInput.BaseStream.WriteAsync(bytes);
            await _process.StandardInput.BaseStream.FlushAsync();
        }
        catch (IOException)
        {
            // The shell has ended.
        }
        finally
        {
            _writing.Release();
        }
    }

    public void Kill() => _process.Kill(entireProcessTree: true);

    public static string? ReasonOf(int code) => code switch
    {
        0 => null,
        130 => "Ctrl+C",
        137 => "SIGKILL",
        143 => "SIGTERM",
        > 128 => string.Create(CultureInfo.InvariantCulture, $"signal {code - 128}"),
        _ => "non-zero exit",
    };

    private async Task<int> RunAsync()
    {
        var buffer = new byte[32 * 1024];
        while (await _process.StandardOutput.BaseStream.ReadAsync(buffer) is var count and > 0)
        {
            foreach (var client in _clients.Keys)
            {
                client.Send(buffer.AsSpan(0, count).ToArray());
            }
        }

        await _process.WaitForExitAsync();
        var code = _process.ExitCode == 255 ? -1 : _process.ExitCode;
        foreach (var client in _clients.Keys)
        {
            client.Exit(code);
        }

        return code;
    }
}
