using System.Diagnostics;
using System.Runtime.InteropServices;
using DeepRecall.Sandboxes.Local.Confinement;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Local;

/// <summary>A worker process on this machine.</summary>
internal sealed partial class LocalProcess : ISandboxProcess
{
    public const string WorkerModule = "deeprecall_worker";

    public const string ConfinementModule = "deeprecall_confinement";

    // The worker is imported, not run, so that its compiled form is kept beside it and later starts do not compile it.
    private const string Bootstrap = $"import sys; sys.path.append(sys.argv[1]); import {WorkerModule} as w; del sys.path[-1]; w.main(sys.argv[2])";

    // All that is the host's own code is loaded before the door closes behind it.
    private const string ConfinedBootstrap =
        $"import sys; sys.path.append(sys.argv[1]); import {WorkerModule} as w, {ConfinementModule} as c; del sys.path[-1]; c.confine(sys.argv[1], sys.argv[3]); w.main(sys.argv[2])";

    private const string ScratchVariable = "TMPDIR";
    private const int Interrupt = 2;
    private const int Kill = 9;

    private readonly Process _process;
    private readonly LocalHome _home;
    private readonly string _scratch;
    private readonly TaskCompletionSource<SandboxExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly StartupOutput _startup;
    private ProcessLimits? _limits;
    private ProcessWatch? _watch;
    private volatile string? _excess;
    private int _disposed;

    private LocalProcess(Process process, LocalHome home, string scratch)
    {
        _process = process;
        _home = home;
        _scratch = scratch;
        Input = process.StandardInput.BaseStream;
        Output = process.StandardOutput.BaseStream;
        _startup = new StartupOutput(process.StandardError.BaseStream);
        process.Exited += (_, _) => _ = OnExitedAsync();
        process.EnableRaisingEvents = true;
    }

    public Stream Input { get; }

    public Stream Output { get; }

    public Task<SandboxExit> Exited => _exited.Task;

    public SandboxIsolation? Isolation { get; private set; }

    internal int Id => _process.Id;

    /// <summary>Starts the worker: the one place where the local environment makes a process.</summary>
    public static LocalProcess Start(PythonInterpreter python, bool useSitePackages, LocalHome home, string workerDirectory, string nonce, bool isConfined)
    {
        var scratch = home.CreateScratch();
        var start = new ProcessStartInfo(python.Executable)
        {
            WorkingDirectory = scratch,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            CreateNoWindow = true,
        };
        start.ArgumentList.Add("-I");
        if (!useSitePackages)
        {
            start.ArgumentList.Add("-S");
        }

        foreach (var argument in (string[])["-X", "utf8", "-c", isConfined ? ConfinedBootstrap : Bootstrap, workerDirectory, nonce, scratch])
        {
            start.ArgumentList.Add(argument);
        }

        SetEnvironment(start.Environment, scratch);
        try
        {
            return new LocalProcess(Process.Start(start)!, home, scratch);
        }
        catch
        {
            ScratchDirectory.Delete(scratch);
            throw;
        }
    }

    /// <summary>Sets the limits, and waits until the process has confined itself and said how; code has not run in it by then.</summary>
    public async Task ConfineAsync(ConfinementSettings settings, CancellationToken cancellationToken)
    {
        var limits = new ProcessLimits(_process.Id, settings);
        var failure = limits.Set();
        var report = await _startup.Confinement.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (report is null)
        {
            return; // It ended, and how is for whoever waits for its first message.
        }

        failure ??= limits.SetMemory();
        _limits = limits;
        Isolation = ConfinementReport.From(report, _process.Id, settings, failure);
        _watch = new ProcessWatch(_process.Id, _scratch, settings, EndForExcess);
    }

    /// <summary>Says why there is no confinement.</summary>
    public void StayFree(string reason) => Isolation = ConfinementReport.None(reason);

    public async Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        if (name.Length == 0 || name.Any(letter => !char.IsAsciiLetterOrDigit(letter) && letter is not ('.' or '-' or '_')) || name.Trim('.').Length == 0)
        {
            throw new ArgumentException($"'{name}' is no name for an uploaded file: letters, digits, dots, hyphens and underscores are allowed.", nameof(name));
        }

        // Not written in place: code in the sandbox could have put a link there, to a file that the host may write and it may not.
        var path = Path.Combine(_scratch, name);
        var upload = _home.CreateUploadPath();
        try
        {
            long length;
            var file = new FileStream(upload, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, FileOptions.Asynchronous);
            await using (file.ConfigureAwait(false))
            {
                await write(file, cancellationToken).ConfigureAwait(false);
                length = file.Length;
            }

            _limits?.MakeRoom(length);
            _watch?.Expect(path, length);
            File.Move(upload, path, overwrite: true);
        }
        catch
        {
            File.Delete(upload);
            throw;
        }

        return path;
    }

    public Task SealAsync(CancellationToken cancellationToken)
    {
        _limits?.Seal();
        return Task.CompletedTask;
    }

    public Task<bool> InterruptAsync(CancellationToken cancellationToken) =>
        Task.FromResult(!OperatingSystem.IsWindows() && (_exited.Task.IsCompleted || SendSignal(_process.Id, Interrupt) == 0));

    public Task KillAsync(CancellationToken cancellationToken)
    {
        EndAll();
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        EndAll();
        await _exited.Task.ConfigureAwait(false);
        _watch?.Dispose();
        await Input.DisposeAsync().ConfigureAwait(false);
        await Output.DisposeAsync().ConfigureAwait(false);
        _process.Dispose();
        ScratchDirectory.Delete(_scratch);
    }

    private static void SetEnvironment(IDictionary<string, string?> environment, string scratch)
    {
        string[] kept = OperatingSystem.IsWindows() ? ["SystemRoot", "SystemDrive", "PATHEXT", "COMSPEC"] : [];
        var values = kept.Where(environment.ContainsKey).Select(name => (name, environment[name])).ToArray();
        environment.Clear();
        foreach (var (name, value) in values)
        {
            environment[name] = value;
        }

        environment["PATH"] = OperatingSystem.IsWindows() ? Environment.SystemDirectory : "/usr/local/bin:/usr/bin:/bin";
        environment["HOME"] = scratch;
        environment["LANG"] = "C.UTF-8";
        environment[ScratchVariable] = scratch;
        if (OperatingSystem.IsWindows())
        {
            environment["USERPROFILE"] = environment["TEMP"] = environment["TMP"] = scratch;
        }
    }

    private void EndForExcess(string excess)
    {
        _excess = excess;
        EndAll();
    }

    private async Task OnExitedAsync()
    {
        var code = _process.ExitCode;
        if (!OperatingSystem.IsWindows())
        {
            // At once, while the group's number cannot belong to anybody else: what the worker started ends with it.
            SendSignal(-_process.Id, Kill);
            if (_disposed == 0)
            {
                // It died by itself, so what left its group has no parent any more by which to be found.
                ProcessTree.WithVariable(ScratchVariable, _scratch).ForEach(process => SendSignal(process, Kill));
            }
        }

        var errors = string.Empty;
        try
        {
            errors = await _startup.Text.WaitAsync(TimeSpan.FromSeconds(1)).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // A process that left the group holds the other end open.
        }

        // .NET reports the end by a signal as a shell does: 128 and the signal's number.
        var signal = !OperatingSystem.IsWindows() && code > 128 && code < 128 + 65 ? code - 128 : (int?)null;
        var detail = _excess ?? (errors.Length > 0 ? errors : null);
        _exited.TrySetResult(new SandboxExit(signal is null ? code : null, signal, detail));
    }

    private void EndAll()
    {
        if (_exited.Task.IsCompleted)
        {
            return;
        }

        if (!OperatingSystem.IsLinux())
        {
            EndTree();
            return;
        }

        // The worker leads a process group of its own. What left the group is found by its parent, while it has one.
        var descendants = ProcessTree.Descendants(_process.Id);
        SendSignal(-_process.Id, Kill);
        SendSignal(_process.Id, Kill);
        foreach (var descendant in descendants)
        {
            SendSignal(descendant, Kill);
        }
    }

    private void EndTree()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (Exception error) when (error is InvalidOperationException or System.ComponentModel.Win32Exception or AggregateException)
        {
            // It has ended by itself.
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int processOrGroup, int signal);
}
