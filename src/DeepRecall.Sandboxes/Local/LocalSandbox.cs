using System.Collections.Concurrent;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Local;

/// <summary>The <c>local</c> environment: a Python process beside the host, found on the machine, with nothing to install.</summary>
/// <remarks>
/// The process gets a scrubbed environment (no variable of the host, so no API key), a scratch directory of its own that is deleted
/// at the end, and a process group of its own that is ended as a whole. It is not confined beyond that: code in it has the rights of
/// the host's user. Thread-safe.
/// </remarks>
public sealed class LocalSandbox : ISandbox
{
    private static readonly ConcurrentDictionary<string, Lazy<Task<PythonInterpreter>>> Interpreters = new(StringComparer.Ordinal);

    private readonly string? _pythonPath;
    private readonly bool _useSitePackages;
    private readonly string _scratchRoot;

    /// <summary>Initializes a new instance of the <see cref="LocalSandbox"/> class.</summary>
    /// <param name="options">How to start Python; read once.</param>
    /// <exception cref="ArgumentException">An option is blank or names what is not there.</exception>
    public LocalSandbox(LocalSandboxOptions? options = null)
    {
        options ??= new();
        if (options.PythonPath is { } python && string.IsNullOrWhiteSpace(python))
        {
            throw new ArgumentException($"{nameof(LocalSandboxOptions)}.{nameof(LocalSandboxOptions.PythonPath)} is blank; leave it null to have Python found.", nameof(options));
        }

        if (options.ScratchRoot is { } root && !Directory.Exists(root))
        {
            throw new ArgumentException($"{nameof(LocalSandboxOptions)}.{nameof(LocalSandboxOptions.ScratchRoot)} is '{root}', which is not a directory.", nameof(options));
        }

        _pythonPath = options.PythonPath;
        _useSitePackages = options.UseSitePackages;
        _scratchRoot = Path.GetFullPath(options.ScratchRoot ?? Path.GetTempPath());
    }

    /// <inheritdoc />
    public string Name => "local";

    /// <inheritdoc />
    public string Description => _useSitePackages
        ? "Python's standard library and the packages installed on this machine can be imported; nothing can be installed. The working directory is an empty scratch directory."
        : "Only Python's standard library can be imported; no package is installed and none can be. The working directory is an empty scratch directory.";

    /// <inheritdoc />
    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var python = await ResolveAsync(_pythonPath).WaitAsync(cancellationToken).ConfigureAwait(false);
        var home = LocalHome.For(_scratchRoot);
        var worker = home.InstallWorker(request.WorkerSource);
        var scratch = home.CreateScratch();
        try
        {
            return LocalProcess.Start(python, _useSitePackages, worker, request.Nonce, scratch);
        }
        catch (Exception error)
        {
            ScratchDirectory.Delete(scratch);
            if (error is System.ComponentModel.Win32Exception or IOException)
            {
                throw new SandboxException($"Python could not be started ({python.Executable}): {error.Message}", error);
            }

            throw;
        }
    }

    /// <summary>Finds the interpreter once for all sandboxes; a failed search is made again by the next request.</summary>
    internal static async Task<PythonInterpreter> ResolveAsync(string? pythonPath)
    {
        var key = pythonPath ?? string.Empty;
        var search = Interpreters.GetOrAdd(key, _ => new Lazy<Task<PythonInterpreter>>(() => PythonInterpreter.FindAsync(pythonPath)));
        try
        {
            return await search.Value.ConfigureAwait(false);
        }
        catch (SandboxException)
        {
            Interpreters.TryRemove(new KeyValuePair<string, Lazy<Task<PythonInterpreter>>>(key, search));
            throw;
        }
    }
}
