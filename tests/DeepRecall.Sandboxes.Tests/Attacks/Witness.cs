using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxes.Tests.Local;

namespace DeepRecall.Sandboxes.Tests.Attacks;

/// <summary>What an attack is after, on the host, and whether it got there.</summary>
internal sealed class Witness : IAsyncDisposable
{
    private static readonly DateTime Long = new(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    private readonly string _directory = Directory.CreateTempSubdirectory("deeprecall-witness-").FullName;
    private readonly List<Socket> _sockets = [];
    private readonly Process _sibling;
    private readonly TestRepl _other;
    private readonly JsonObject _places;
    private readonly string _nice;
    private readonly string _before;

    private Witness(string token, TestRepl other, string otherScratch, int otherId)
    {
        Token = token;
        _other = other;
        Directory.CreateDirectory(Path.Combine(_directory, "empty"));
        Plant("secret.txt", token);
        Plant("victim.txt", "precious");
        Readable = Plant("readable.txt", "for all");
        _sibling = Process.Start(new ProcessStartInfo("sleep", ["600"]) { Environment = { ["SECRET"] = token } })!;
        var tcp = Listen(new IPEndPoint(IPAddress.Loopback, 0), SocketType.Stream);
        var udp = Listen(new IPEndPoint(IPAddress.Loopback, 0), SocketType.Dgram);
        var name = $"deeprecall-witness-{Guid.NewGuid():N}";
        Listen(new UnixDomainSocketEndPoint(Path.Combine(_directory, "s")), SocketType.Stream);
        Listen(new UnixDomainSocketEndPoint(Path.Combine(_directory, "d")), SocketType.Dgram);
        Listen(new UnixDomainSocketEndPoint('\0' + name), SocketType.Stream);
        Listen(new UnixDomainSocketEndPoint('\0' + name + "-d"), SocketType.Dgram);
        _places = new JsonObject
        {
            ["token"] = token,
            ["directory"] = _directory,
            ["secret"] = Path.Combine(_directory, "secret.txt"),
            ["victim"] = Path.Combine(_directory, "victim.txt"),
            ["readable"] = Readable,
            ["host"] = Environment.ProcessId,
            ["sibling"] = _sibling.Id,
            ["other_worker"] = otherId,
            ["other_scratch"] = otherScratch,
            ["tcp"] = ((IPEndPoint)tcp.LocalEndPoint!).Port,
            ["udp"] = ((IPEndPoint)udp.LocalEndPoint!).Port,
            ["unix_path"] = Path.Combine(_directory, "s"),
            ["unix_datagram_path"] = Path.Combine(_directory, "d"),
            ["unix_abstract"] = name,
            ["unix_datagram_abstract"] = name + "-d",
        };
        _nice = ReadNice(_sibling.Id);
        _before = Describe();
    }

    /// <summary>A word that stands in what may not be read, and nowhere else.</summary>
    public string Token { get; }

    /// <summary>The one file that may be read.</summary>
    public string Readable { get; }

    public string Places => _places.ToJsonString();

    public static async Task<Witness> CreateAsync()
    {
        var token = $"secret-{Guid.NewGuid():N}";
        var other = await TestRepl.StartAsync(new LocalSandbox());
        await other.PrintAsync($"import os\nwith open('mine.txt', 'w') as file:\n    _ = file.write('{token}')");
        return new Witness(token, other, (await other.ValueAsync("os.getcwd()")).GetString()!, (await other.ValueAsync("os.getpid()")).GetInt32());
    }

    /// <summary>Says what an attack reached; nothing when it reached nothing.</summary>
    public async Task<string> FindTracesAsync()
    {
        List<string> traces = [];
        if (Describe() is var now && now != _before)
        {
            traces.Add($"files were\n{_before}\nand are\n{now}");
        }

        traces.AddRange(_sockets.Where(socket => socket.Poll(0, SelectMode.SelectRead)).Select(socket => $"something came to {socket.LocalEndPoint}"));
        if (!LocalProcesses.IsAlive(_sibling.Id))
        {
            traces.Add("the sibling is dead");
        }
        else if (ReadNice(_sibling.Id) != _nice)
        {
            traces.Add("the sibling's priority is another");
        }

        try
        {
            var mine = await _other.RunAsync("print(open('mine.txt').read(), sorted(os.listdir()))").WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
            if (mine.Output != $"{Token} ['mine.txt']\n")
            {
                traces.Add($"the other worker is not as it was: {mine.Output}{mine.Error}");
            }
        }
        catch (TimeoutException)
        {
            traces.Add("the other worker does not answer");
        }

        return string.Join('\n', traces);
    }

    public async ValueTask DisposeAsync()
    {
        _sockets.ForEach(socket => socket.Dispose());
        _sibling.Kill();
        _sibling.Dispose();
        await _other.DisposeAsync();
        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    private static string ReadNice(int processId) => File.ReadAllText($"/proc/{processId}/stat").Split(' ')[18];

    private string Plant(string name, string text)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllText(path, text);
        File.SetLastWriteTimeUtc(path, Long);
        return path;
    }

    private Socket Listen(EndPoint address, SocketType type)
    {
        var socket = new Socket(address.AddressFamily, type, ProtocolType.Unspecified);
        socket.Bind(address);
        if (type == SocketType.Stream)
        {
            socket.Listen();
        }

        _sockets.Add(socket);
        return socket;
    }

    private string Describe()
    {
        if (!Directory.Exists(_directory))
        {
            return "gone";
        }

        return string.Join('\n', new DirectoryInfo(_directory).EnumerateFileSystemInfos().OrderBy(file => file.Name, StringComparer.Ordinal).Select(file =>
            $"{file.Name} {file.UnixFileMode} {(file is FileInfo { Extension: ".txt" } text ? $"{text.LastWriteTimeUtc:O} {File.ReadAllText(text.FullName)}" : string.Empty)}"));
    }
}
