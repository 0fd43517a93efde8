using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace DeepRecall.Testing.Emulators;

/// <summary>A cloud sandbox's machine, played by this one: a directory of its own, and processes that carry its mark.</summary>
public sealed class LocalMachine
{
    private const string Mark = "DEEPRECALL_EMULATED_MACHINE";
    private const int Kill = 9;

    private static readonly Lazy<string> PythonDirectory = new(FindPythonDirectory);

    private readonly IReadOnlyDictionary<string, string> _variables;

    public LocalMachine(IReadOnlyDictionary<string, string>? variables = null)
    {
        _variables = variables ?? new Dictionary<string, string>();
        Root = Directory.CreateTempSubdirectory("deeprecall-machine-").FullName;
    }

    /// <summary>The machine's home and temporary directory.</summary>
    public string Root { get; }

    /// <summary>The processes of the machine that live.</summary>
    public IReadOnlyList<int> Processes
    {
        get
        {
            var wanted = Encoding.UTF8.GetBytes($"{Mark}={Root}\0");
            return [.. Directory.EnumerateDirectories("/proc").Select(path => int.TryParse(Path.GetFileName(path), out var id) ? id : 0).Where(id => id > 0 && Carries(id, wanted))];
        }
    }

    /// <summary>What starts a command there, with its three streams redirected.</summary>
    /// <param name="command">The command and its arguments; found on the machine's own path.</param>
    /// <param name="directory">Where it runs; the machine's root when it is null.</param>
    /// <param name="variables">Variables beside the machine's own.</param>
    public ProcessStartInfo Command(IEnumerable<string> command, string? directory = null, IEnumerable<KeyValuePair<string, string>>? variables = null) =>
        Program("/usr/bin/env", ["--", .. command], directory, variables);

    /// <summary>What starts a program there, with its three streams redirected; one that is not there cannot be started.</summary>
    /// <param name="file">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="directory">Where it runs; the machine's root when it is null.</param>
    /// <param name="variables">Variables beside the machine's own.</param>
    public ProcessStartInfo Program(string file, IEnumerable<string> arguments, string? directory = null, IEnumerable<KeyValuePair<string, string>>? variables = null)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            WorkingDirectory = directory ?? Root,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Clear();
        start.Environment["PATH"] = $"{PythonDirectory.Value}:/usr/local/bin:/usr/bin:/bin";
        start.Environment["HOME"] = start.Environment["TMPDIR"] = Root;
        start.Environment["LANG"] = "C.UTF-8";
        foreach (var (name, value) in _variables.Concat(variables ?? []))
        {
            start.Environment[name] = value;
        }

        start.Environment[Mark] = Root;
        start.Environment[HostWatch.Variable] = HostWatch.Value;
        return start;
    }

    /// <summary>Ends every process of the machine and deletes its directory.</summary>
    public void Destroy()
    {
        for (var round = 0; round < 100 && Processes is { Count: > 0 } left; round++)
        {
            foreach (var process in left)
            {
                _ = SendSignal(process, Kill);
            }

            SpinWait.SpinUntil(() => !left.Any(IsAlive), TimeSpan.FromSeconds(5));
        }

        try
        {
            Directory.Delete(Root, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
    }

    /// <summary>An exit code as .NET tells it, which for a signal is 128 and its number.</summary>
    public static (int? Code, int? Signal) ExitOf(int code) => code is > 128 and < 128 + 65 ? (null, code - 128) : (code, null);

    private static bool IsAlive(int process)
    {
        try
        {
            return !File.ReadAllText($"/proc/{process}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static bool Carries(int process, byte[] wanted)
    {
        try
        {
            return File.ReadAllBytes($"/proc/{process}/environ").AsSpan().IndexOf(wanted) >= 0;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false; // it ended while it was looked at, or is another user's
        }
    }

    private static string FindPythonDirectory()
    {
        // The interpreter itself: a shim in front of it would cost more than the start of the worker.
        using var python = Process.Start(new ProcessStartInfo("python3", ["-c", "import os, sys; print(os.path.dirname(sys.executable))"]) { RedirectStandardOutput = true })!;
        return python.StandardOutput.ReadToEnd().Trim();
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int process, int signal);
}
