using System.Collections.Concurrent;
using System.ComponentModel;
using System.Threading.Channels;
using DeepRecall.Sandboxes.Connect;

namespace DeepRecall.Testing.Emulators.Connect;

/// <summary>The inside of an emulated sandbox: a home directory and the processes that run in it, all of which end with it.</summary>
internal sealed class EmulatedMachine : IAsyncDisposable
{
    private readonly ConcurrentDictionary<uint, EmulatedProcess> _processes = new();
    private readonly LocalMachine _machine;
    private readonly ProcessFaults _faults;

    public EmulatedMachine(IReadOnlyDictionary<string, string> environment, ProcessFaults faults)
    {
        _faults = faults;
        _machine = new LocalMachine(new Dictionary<string, string>(environment, StringComparer.Ordinal) { ["USER"] = "user", ["LOGNAME"] = "user" });
    }

    public string Home => _machine.Root;

    public IEnumerable<EmulatedProcess> Processes => _processes.Values.Where(process => !process.HasEnded);

    /// <summary>Starts a process.</summary>
    /// <exception cref="ConnectException">It cannot be started.</exception>
    public (EmulatedProcess Process, ChannelReader<ProcessEvent> Events) Start(ProcessCommand command, IReadOnlyDictionary<string, string>? environment)
    {
        var directory = command.Directory switch
        {
            null => Home,
            { } given when Directory.Exists(given) => given,
            { } given => Resolve(given),
        };
        if (!Directory.Exists(directory))
        {
            throw new ConnectException("invalid_argument", $"cwd '{command.Directory}' does not exist");
        }

        try
        {
            var started = EmulatedProcess.Start(_machine.Program(command.Command, command.Arguments, directory, environment), command, _faults);
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

    /// <summary>A path of the sandbox as one of this machine: the user's home, and below it whatever else there is in the sandbox.</summary>
    public string Resolve(string path)
    {
        const string UserHome = "/home/user";
        if (path == Home || path.StartsWith($"{Home}/", StringComparison.Ordinal))
        {
            return Path.GetFullPath(path);
        }

        var relative = path.StartsWith(UserHome, StringComparison.Ordinal) ? path[UserHome.Length..].TrimStart('/') : path.TrimStart('/');
        var full = Path.GetFullPath(relative, Home);
        return full == Home || full.StartsWith($"{Home}/", StringComparison.Ordinal)
            ? full
            : throw new ArgumentException($"path '{path}' is outside of the emulated sandbox", nameof(path));
    }

    public async ValueTask DisposeAsync()
    {
        // As a machine that is switched off: whatever ran in it, by whatever parent, is gone.
        await Task.Run(_machine.Destroy);
        await Task.WhenAll(_processes.Values.Select(process => process.Ended)).WaitAsync(TimeSpan.FromSeconds(30));
    }
}
