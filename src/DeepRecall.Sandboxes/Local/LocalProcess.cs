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
    private const int Stop = 19; // on Linux
    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly int _id;
    private readonly LocalHome _home;
    private readonly string _scratch;
    private readonly TaskCompletionSource<SandboxExit> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly StartupOutput _startup;
    private ProcessLimits? _limits;
    private bool _areLimitsHeld;
    private ProcessWatch? _watch;
    private volatile string? _excess;
    private volatile bool _hasEnded;
    private int _disposed;

    private LocalProcess(Process process, LocalHome home, string scratch)
    {
        _process = process;
        _id = process.Id;
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

    internal int Id => _id;

    private bool MayHaveStartedOthers => Isolation?.Parts.Any(part => part is { Name: "processes", IsHeld: true }) is not true;

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
        var limits = new ProcessLimits(_id, settings);
        var failure = limits.Set();
        var report = await _startup.Confinement.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (report is null)
        {
            if (!await EndsSoonAsync(cancellationToken).ConfigureAwait(false))
            {
                StayFree("the process closed its standard error before it said how it is confined");
            }

            return; // When it ended, how is for whoever waits for its first message.
        }

        failure ??= limits.SetMemory();
        var facts = settings.HiddenMechanisms.Contains("/proc") ? null : ProcessFacts.ReadPrivileges(_id);
        if (facts is null && !ProcessFacts.IsAlive(_id))
        {
            return;
        }

        _limits = limits;
        _areLimitsHeld = failure is null;
        Isolation = ConfinementReport.From(report, facts, settings, failure);
        if (facts is not null)
        {
            _watch = new ProcessWatch(_id, _scratch, settings, EndForExcess);
        }
    }

    /// <summary>Says why there is no confinement.</summary>
    public void StayFree(string reason) => Isolation = ConfinementReport.None(reason);

    public async Task<string> UploadAsync(string name, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        UploadName.Check(name);

        // Not written in place: code in the sandbox could have put a link there, to a file that the host may write and it may not.
        var upload = _home.CreateUploadPath();
        try
        {
            var length = await WriteAsync(upload, write, cancellationToken).ConfigureAwait(false);
            RequireLimit(_limits?.MakeRoom(length));
            return Place(upload, Path.Combine(_scratch, name), length);
        }
        catch
        {
            TryDelete(upload);
            throw;
        }
    }

    public Task SealAsync(CancellationToken cancellationToken)
    {
        RequireLimit(_limits?.Seal());
        return Task.CompletedTask;
    }

    public Task<bool> InterruptAsync(CancellationToken cancellationToken) =>
        Task.FromResult(!OperatingSystem.IsWindows() && (_hasEnded || SendSignal(_id, Interrupt) == 0));

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

    /// <summary>Writes a file, by whoever has its bytes: that may block, and heed no token, as a read of a console does, and is left behind then.</summary>
    private static async Task<long> WriteAsync(string path, Func<Stream, CancellationToken, Task> write, CancellationToken cancellationToken)
    {
        // When it is left behind it finds the file closed, and unbuffered as it is nothing is written any more.
        var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, FileOptions.Asynchronous);
        await using (file.ConfigureAwait(false))
        {
            var writing = Task.Run(() => write(file, cancellationToken), CancellationToken.None);
            try
            {
                await writing.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!writing.IsCompleted)
            {
                _ = writing.ContinueWith(static left => left.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
                throw;
            }

            return file.Length;
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Something holds it open still; it goes with the home.
        }
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

    /// <summary>Moves an upload into the scratch directory; under another name where a directory has that name, which code makes and no file replaces.</summary>
    private string Place(string upload, string path, long length)
    {
        try
        {
            return Move(upload, path, length);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Move(upload, Path.Combine(_scratch, $"upload-{Guid.NewGuid():N}"), length);
        }
    }

    private string Move(string upload, string path, long length)
    {
        _watch?.Expect(path, length);
        File.Move(upload, path, overwrite: true);
        return path;
    }

    private async Task<bool> EndsSoonAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _exited.Task.WaitAsync(TimeToEnd, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>What was said to hold must go on to hold; what was said to be missing may.</summary>
    private void RequireLimit(string? failure)
    {
        if (failure is not null && _areLimitsHeld && ProcessFacts.IsAlive(_id))
        {
            throw new SandboxException($"The memory of the process could not be limited any more: {failure}.");
        }
    }

    private void EndForExcess(string excess)
    {
        if (_hasEnded)
        {
            return;
        }

        _excess = excess;
        EndAll();
    }

    private async Task OnExitedAsync()
    {
        _hasEnded = true;
        var exit = new SandboxExit(null);
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                // At once, while the group's number cannot belong to anybody else: what the worker started ends with it.
                SendSignal(-_id, Kill);
                if (MayHaveStartedOthers)
                {
                    // What left its group has no parent any more by which to be found.
                    EndEach(() => ProcessTree.WithVariable(ScratchVariable, _scratch));
                }
            }

            exit = await DescribeEndAsync(_process.ExitCode).ConfigureAwait(false);
        }
        finally
        {
            _exited.TrySetResult(exit);
        }
    }

    private async Task<SandboxExit> DescribeEndAsync(int code)
    {
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
        return new SandboxExit(signal is null ? code : null, signal, _excess ?? (errors.Length > 0 ? errors : null));
    }

    private void EndAll()
    {
        if (_hasEnded)
        {
            return; // Its number may be another process's by now.
        }

        if (!OperatingSystem.IsLinux())
        {
            EndTree();
            return;
        }

        // The worker leads a process group of its own. What left the group is found below the worker, while that is there: it is stopped, and ended
        // last. Not where there can be nothing below it: a host that died in between would leave it stopped, where it does not see that its host is gone.
        if (MayHaveStartedOthers)
        {
            SendSignal(_id, Stop);
            EndEach(() => ProcessTree.Descendants(_id));
        }

        SendSignal(-_id, Kill);
        SendSignal(_id, Kill);
    }

    /// <summary>Ends processes until no further one is found: they may have started others meanwhile.</summary>
    private static void EndEach(Func<IEnumerable<int>> find)
    {
        const int MostRounds = 20;
        HashSet<int> ended = [];
        for (var round = 0; round < MostRounds && find().Where(ended.Add).ToArray() is { Length: > 0 } found; round++)
        {
            foreach (var process in found)
            {
                SendSignal(process, Kill);
            }
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
