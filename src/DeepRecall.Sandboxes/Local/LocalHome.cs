using System.Diagnostics.CodeAnalysis;
using DeepRecall.Sandboxes.Local.Confinement;

namespace DeepRecall.Sandboxes.Local;

/// <summary>This host process's directory for local sandboxes: the worker's file and the scratch directories.</summary>
/// <remarks>
/// A lock on a file in it says that its host lives. Homes whose host was killed are found by their free lock and deleted, so that
/// nothing is left behind for good, whatever ended the host.
/// </remarks>
[SuppressMessage("Design", "CA1001", Justification = "It lives as long as the process; the lock is released at its exit.")]
internal sealed class LocalHome
{
    private const string Prefix = "deeprecall-";
    private const string LockName = "lock";

    private static readonly Dictionary<string, LocalHome> Homes = new(StringComparer.Ordinal);

    private readonly string _directory;
    private readonly FileStream _lock;
    private readonly Dictionary<(string Worker, string? Plan), string> _workers = [];
    private long _scratches;
    private long _installs;
    private long _uploads;

    private LocalHome(string root)
    {
        DeleteOrphans(root);
        _directory = CreatePrivate(Path.Combine(root, Prefix + Guid.NewGuid().ToString("N")[..16]));
        try
        {
            _lock = new FileStream(Path.Combine(_directory, LockName), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        }
        catch
        {
            ScratchDirectory.Delete(_directory);
            throw;
        }

        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            _lock.Dispose();
            ScratchDirectory.Delete(_directory);
        };
    }

    /// <summary>Gets the home below a directory, and makes it at first.</summary>
    /// <exception cref="IOException">It could not be made; the next call tries again.</exception>
    /// <exception cref="UnauthorizedAccessException">It could not be made; the next call tries again.</exception>
    public static LocalHome For(string root)
    {
        lock (Homes)
        {
            return Homes.TryGetValue(root, out var home) ? home : Homes[root] = new LocalHome(root);
        }
    }

    /// <summary>Writes the worker, and what confines it, once for each text of them.</summary>
    /// <param name="worker">The worker's source.</param>
    /// <param name="plan">What to confine it to, as JSON; <see langword="null"/> for a worker that is not confined.</param>
    /// <returns>The directory in which they are modules.</returns>
    public string InstallWorker(string worker, string? plan)
    {
        lock (_workers)
        {
            // Something that cleans temporary directories may have taken it from a host that runs for long.
            return _workers.TryGetValue((worker, plan), out var installed) && File.Exists(ModulePath(installed, LocalProcess.WorkerModule))
                ? installed
                : _workers[(worker, plan)] = Install(worker, plan);
        }
    }

    public string CreateScratch() => CreatePrivate(Path.Combine(_directory, $"scratch-{Interlocked.Increment(ref _scratches)}"));

    /// <summary>A path for a file on its way into a scratch directory, where code that runs there cannot meddle with it.</summary>
    public string CreateUploadPath() => Path.Combine(_directory, $"upload-{Interlocked.Increment(ref _uploads)}");

    private static string ModulePath(string directory, string module) => Path.Combine(directory, module + ".py");

    private string Install(string worker, string? plan)
    {
        var directory = CreatePrivate(Path.Combine(_directory, $"worker-{Interlocked.Increment(ref _installs)}"));
        if (plan is not null)
        {
            File.WriteAllText(Path.Combine(directory, "plan.json"), plan);
            File.WriteAllText(ModulePath(directory, LocalProcess.ConfinementModule), ConfinementPlan.Source);
        }

        File.WriteAllText(ModulePath(directory, LocalProcess.WorkerModule), worker);
        return directory;
    }

    private static string CreatePrivate(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        return path;
    }

    private static void DeleteOrphans(string root)
    {
        foreach (var home in Directory.EnumerateDirectories(root, Prefix + "*").Where(OwnDirectory.Is))
        {
            try
            {
                // Opened only when no host holds it.
                using (new FileStream(Path.Combine(home, LockName), FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                {
                }

                ScratchDirectory.Delete(home);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It lives, or another host is deleting it.
            }
        }
    }
}
