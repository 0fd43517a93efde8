using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using DeepRecall.Sandboxes.Connect;
using DeepRecall.Sandboxes.Local;

namespace DeepRecall.Testing.Emulators.Connect;

/// <summary>The inside of an emulated sandbox: a home directory and the processes that run in it, all of which end with it.</summary>
internal sealed partial class EmulatedMachine : IAsyncDisposable
{
    private const int Kill = 9;

    private readonly ConcurrentDictionary<uint, EmulatedProcess> _processes = new();
    private readonly Dictionary<string, string> _environment;
    private readonly ProcessFaults _faults;

    private EmulatedMachine(string python, IReadOnlyDictionary<string, string> environment, ProcessFaults faults)
    {
        _faults = faults;
        Home = Directory.CreateTempSubdirectory("deeprecall-emulated-").FullName;
        _environment = new Dictionary<string, string>(environment, StringComparer.Ordinal)
        {
            ["PATH"] = $"{Path.GetDirectoryName(python)}:/usr/local/bin:/usr/bin:/bin",
            ["HOME"] = Home,
            ["USER"] = "user",
            ["LOGNAME"] = "user",
        };
    }

    public string Home { get; }

    public IEnumerable<EmulatedProcess> Processes => _processes.Values.Where(process => !process.HasEnded);

    public static async Task<EmulatedMachine> CreateAsync(IReadOnlyDictionary<string, string> environment, ProcessFaults faults) =>
        new((await LocalSandbox.ResolveAsync(null)).Executable, environment, faults);

    /// <summary>Starts a process.</summary>
    /// <exception cref="ConnectException">It cannot be started.</exception>
    public (EmulatedProcess Process, ChannelReader<ProcessEvent> Events) Start(ProcessCommand command, IReadOnlyDictionary<string, string>? environment)
    {
        var directory = command.Directory is null ? Home : Resolve(command.Directory);
        if (!Directory.Exists(directory))
        {
            throw new ConnectException("invalid_argument", $"cwd '{command.Directory}' does not exist");
        }

        var variables = new Dictionary<string, string>(_environment, StringComparer.Ordinal);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            variables[name] = value;
        }

        try
        {
            var started = EmulatedProcess.Start(command with { Directory = directory }, variables, _faults);
            _processes[started.Process.Pid] = started.Process;
            return started;
        }
        catch (Win32Exception error)
        {
            throw new ConnectException("invalid_argument", $"the command cannot be started: {error.Message}");
        }
    }

    public EmulatedProcess Find(uint? pid, string? id) =>
        (pid is { } number && number > 0 ? _processes.GetValueOrDefault(number) : _processes.Values.FirstOrDefault(process => process.Command.Id == id && id is not null))
        ?? throw new ConnectException(ConnectException.NotFound, $"process with {(pid is null ? $"tag {id}" : $"pid {pid}")} not found");

    public EmulatedProcess? FindById(string id) => _processes.Values.FirstOrDefault(process => process.Command.Id == id);

    /// <summary>A path of the sandbox as one of this machine; the user's home is the only place that there is.</summary>
    /// <exception cref="ArgumentException">It lies outside of the sandbox.</exception>
    public string Resolve(string path)
    {
        const string UserHome = "/home/user";
        var relative = path.StartsWith(UserHome, StringComparison.Ordinal) ? path[UserHome.Length..].TrimStart('/') : path;
        var full = Path.GetFullPath(relative, Home);
        return full == Home || full.StartsWith($"{Home}/", StringComparison.Ordinal)
            ? full
            : throw new ArgumentException($"path '{path}' is outside of the emulated sandbox", nameof(path));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes.Values)
        {
            process.Signal(Kill);
        }

        // As a machine that is switched off: whatever ran in it, by whatever parent.
        ProcessTree.WithVariable("HOME", Home).ForEach(process => SendSignal(process, Kill));
        await Task.WhenAll(_processes.Values.Select(process => process.Ended)).WaitAsync(TimeSpan.FromSeconds(30));
        try
        {
            Directory.Delete(Home, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int process, int signal);
}
