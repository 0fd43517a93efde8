using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using DeepRecall.Sandboxes.Local.Confinement;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Local;

/// <summary>The <c>local</c> environment: a Python process beside the host, found on the machine, with nothing to install.</summary>
/// <remarks>
/// The process gets a scrubbed environment (no variable of the host, so no API key), a scratch directory of its own that is deleted
/// at the end, and a process group of its own that is ended as a whole. On Linux it is confined before any code runs in it:
/// <see cref="LocalSandboxOptions"/> say to what, and ISOLATION.md beside this class's source what that promises. Thread-safe.
/// </remarks>
public sealed class LocalSandbox : ISandbox
{
    private static readonly ConcurrentDictionary<string, Lazy<Task<PythonInterpreter>>> Interpreters = new(StringComparer.Ordinal);

    private readonly string? _pythonPath;
    private readonly bool _useSitePackages;
    private readonly string _scratchRoot;
    private readonly ConfinementSettings _confinement;
    private readonly string? _plan;
    private SandboxIsolation? _isolation;

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
        _confinement = ConfinementSettings.From(options);
        _plan = _confinement.Isolation == LocalIsolation.None ? null : ConfinementPlan.Make(_confinement)?.ToJson();
    }

    /// <inheritdoc />
    public string Name => "local";

    /// <inheritdoc />
    public string Description => string.Join(
        ' ',
        _useSitePackages
            ? "Python's standard library and the packages installed on this machine can be imported; nothing can be installed."
            : "Only Python's standard library can be imported; no package is installed and none can be.",
        "The working directory is an empty scratch directory.",
        DescribeConfinement()).TrimEnd();

    /// <inheritdoc />
    public int DefaultPoolSize => 1;

    /// <inheritdoc />
    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        cancellationToken.ThrowIfCancellationRequested();
        if (_plan is null && _confinement.Isolation == LocalIsolation.Required)
        {
            throw Refuse(ReasonForNone());
        }

        var python = await ResolveAsync(_pythonPath).WaitAsync(cancellationToken).ConfigureAwait(false);
        LocalProcess process;
        try
        {
            var home = LocalHome.For(_scratchRoot);
            var worker = home.InstallWorker(request.WorkerSource, _plan);
            process = LocalProcess.Start(python, _useSitePackages, home, worker, request.Nonce, isConfined: _plan is not null);
        }
        catch (Exception error) when (error is System.ComponentModel.Win32Exception or IOException or UnauthorizedAccessException)
        {
            throw new SandboxException($"Python could not be started ({python.Executable}, in a directory below {_scratchRoot}): {error.Message}", error);
        }

        try
        {
            await ConfineAsync(process, cancellationToken).ConfigureAwait(false);
            return process;
        }
        catch
        {
            await process.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc />
    public async Task<SandboxIsolation?> GetIsolationAsync(CancellationToken cancellationToken)
    {
        if (_isolation is null)
        {
            var request = new SandboxStartRequest { WorkerSource = "import sys\ndef main(nonce):\n    sys.stdin.read()\n", Nonce = string.Empty };
            var process = await StartAsync(request, cancellationToken).ConfigureAwait(false);
            await process.DisposeAsync().ConfigureAwait(false);
        }

        return _isolation;
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

    private async Task ConfineAsync(LocalProcess process, CancellationToken cancellationToken)
    {
        if (_plan is null)
        {
            process.StayFree(ReasonForNone());
        }
        else
        {
            await process.ConfineAsync(_confinement, cancellationToken).ConfigureAwait(false);
        }

        if (process.Isolation is not { } isolation)
        {
            return;
        }

        _isolation = isolation;
        if (_confinement.Isolation == LocalIsolation.Required && !isolation.IsComplete)
        {
            throw Refuse(string.Join("; ", isolation.Parts.Where(part => !part.IsHeld && !part.IsExtra)));
        }
    }

    private string ReasonForNone() => _confinement.Isolation == LocalIsolation.None
        ? $"{nameof(LocalSandboxOptions)}.{nameof(LocalSandboxOptions.Isolation)} is {LocalIsolation.None}"
        : $"there is none for {RuntimeInformation.OSDescription} on {RuntimeInformation.ProcessArchitecture}";

    private string DescribeConfinement()
    {
        if (_plan is null)
        {
            return string.Empty;
        }

        string[] missing =
        [
            "files outside of it cannot be read or written",
            "modes and times of files cannot be changed",
            .. _confinement.AllowNetwork ? (string[])[] : ["there is no network"],
            .. _confinement.AllowSubprocesses ? (string[])[] : ["no process can be started"],
        ];
        return $"The code is confined: {string.Join(", ", missing)}.";
    }

    private static SandboxException Refuse(string missing) => new(
        $"{nameof(LocalSandboxOptions)}.{nameof(LocalSandboxOptions.Isolation)} is {LocalIsolation.Required}, and code cannot be confined in full here. Missing: {missing}. "
        + $"{LocalIsolation.Preferred} would run it with what there is; another environment, for example a container, confines it by other means.");
}
