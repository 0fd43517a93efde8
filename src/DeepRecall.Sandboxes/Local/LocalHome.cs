using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

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

    private static readonly ConcurrentDictionary<string, Lazy<LocalHome>> Homes = new(StringComparer.Ordinal);

    private readonly string _directory;
    private readonly FileStream _lock;
    private readonly ConcurrentDictionary<string, Lazy<string>> _workers = new(StringComparer.Ordinal);
    private long _scratches;
    private long _installs;

    private LocalHome(string root)
    {
        DeleteOrphans(root);
        _directory = CreatePrivate(Path.Combine(root, Prefix + Guid.NewGuid().ToString("N")[..16]));
        _lock = new FileStream(Path.Combine(_directory, LockName), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            _lock.Dispose();
            ScratchDirectory.Delete(_directory);
        };
    }

    public static LocalHome For(string root) => Homes.GetOrAdd(root, static path => new Lazy<LocalHome>(() => new LocalHome(path))).Value;

    /// <summary>Writes the worker, once for each text of it.</summary>
    /// <returns>The directory in which it is the module <c>deeprecall_worker</c>.</returns>
    public string InstallWorker(string source)
    {
        while (true)
        {
            var installed = _workers.GetOrAdd(source, text => new Lazy<string>(() => Install(text)));
            if (File.Exists(ModulePath(installed.Value)))
            {
                return installed.Value;
            }

            // Something that cleans temporary directories took it from a host that runs for long.
            _workers.TryRemove(new KeyValuePair<string, Lazy<string>>(source, installed));
        }
    }

    public string CreateScratch() => CreatePrivate(Path.Combine(_directory, $"scratch-{Interlocked.Increment(ref _scratches)}"));

    private static string ModulePath(string directory) => Path.Combine(directory, LocalProcess.WorkerModule + ".py");

    private string Install(string source)
    {
        var directory = CreatePrivate(Path.Combine(_directory, $"worker-{Interlocked.Increment(ref _installs)}"));
        File.WriteAllText(ModulePath(directory), source);
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
        foreach (var home in Directory.EnumerateDirectories(root, Prefix + "*"))
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
                // It lives, it is another user's, or another host is deleting it.
            }
        }
    }
}
