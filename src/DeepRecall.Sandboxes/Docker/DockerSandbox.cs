using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using Docker.DotNet;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Sandboxes.Docker;

/// <summary>The <c>docker</c> environment: every worker runs in a hardened container of its own.</summary>
/// <remarks>
/// By default a container has no network, a read-only root, no privileges, an unprivileged user, and limits for memory, processors and
/// processes; its only way out is the pair of streams that it was started with. It ends with its host: when the connection breaks, the
/// worker's input ends. Containers of hosts that died all the same are removed by the next host's first start, and by
/// <see cref="CheckHealthAsync"/>. Everything goes through the Docker Engine API; the <c>docker</c> command is not needed. Thread-safe.
/// </remarks>
public sealed class DockerSandbox : ISandbox
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(30);

    private readonly DockerSandboxOptions _options;
    private readonly ILogger _logger;
    private readonly IProgress<DockerPullProgress>? _pullProgress;
    private readonly Lazy<DockerEngine> _engine;
    private readonly Lock _lock = new();
    private Task? _preparation;
    private volatile bool _binds;

    /// <summary>Initializes a new instance of the <see cref="DockerSandbox"/> class. The engine is not asked before the first start.</summary>
    /// <param name="options">How to make containers; read once.</param>
    /// <param name="logger">Told of pulls and of what was found left over.</param>
    /// <param name="pullProgress">Told how a pull goes on; called on any thread.</param>
    /// <exception cref="ArgumentException">An option is not what it may be.</exception>
    public DockerSandbox(DockerSandboxOptions? options = null, ILogger<DockerSandbox>? logger = null, IProgress<DockerPullProgress>? pullProgress = null)
    {
        options ??= new();
        if (options.Problems() is { Count: > 0 } problems)
        {
            throw new ArgumentException(string.Join(' ', problems), nameof(options));
        }

        _options = options.Copy();
        _logger = logger ?? NullLogger<DockerSandbox>.Instance;
        _pullProgress = pullProgress;
        _engine = new Lazy<DockerEngine>(() => DockerEngine.At(_options.Endpoint), LazyThreadSafetyMode.PublicationOnly);
        _binds = _options.Uploads != DockerUploadMode.Volume;
    }

    /// <inheritdoc />
    public string Name => "docker";

    /// <inheritdoc />
    public string Description
    {
        get
        {
            var network = _options.Network == "none" ? "no network" : $"the network '{_options.Network}'";
            return $"The code runs in a container of the image {_options.Image} with {network} and {_options.MemoryMB:N0} MiB of memory. "
                + "Python's standard library and what the image has installed can be imported; nothing can be installed. "
                + $"The working directory is an empty scratch directory ({DockerContainer.ScratchPath}, {_options.ScratchMB:N0} MiB).";
        }
    }

    /// <inheritdoc />
    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var engine = _engine.Value;

        // A pull goes on when the request that caused it does not wait for its end: the next one will be glad of it.
        await PrepareAsync(engine).WaitAsync(cancellationToken).ConfigureAwait(false);
        var scratch = LocalHome.For(Path.GetTempPath()).CreateScratch();
        string? id = null;
        AttachedStream? stream = null;
        try
        {
            (id, var shared) = await CreateAsync(engine, request.Nonce, scratch, cancellationToken).ConfigureAwait(false);
            stream = await engine.AttachAsync(id, cancellationToken).ConfigureAwait(false);
            await engine.StartAsync(id, cancellationToken).ConfigureAwait(false);
            var process = new DockerProcess(engine, _options, id, stream, scratch, shared);
            await process.SendWorkerAsync(request.WorkerSource, cancellationToken).ConfigureAwait(false);
            return process;
        }
        catch
        {
            await CleanUpAsync(engine, id, stream, scratch).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Asks the engine whether it is well and has the image, and removes containers whose hosts died.</summary>
    /// <param name="cancellationToken">Ends the check.</param>
    /// <returns>What was found.</returns>
    /// <exception cref="SandboxException">The engine cannot be reached, or cannot do its work.</exception>
    public async Task<DockerSandboxHealth> CheckHealthAsync(CancellationToken cancellationToken)
    {
        var engine = _engine.Value;
        var version = await engine.VersionAsync(cancellationToken).ConfigureAwait(false);
        var hasImage = await engine.HasImageAsync(_options.Image, cancellationToken).ConfigureAwait(false);
        return new DockerSandboxHealth(version, hasImage, await ReapAsync(engine, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Makes a container; whoever does not wait for its end leaves nothing behind.</summary>
    private async Task<(string Id, string? Shared)> CreateAsync(DockerEngine engine, string nonce, string scratch, CancellationToken cancellationToken)
    {
        string? shared = null;
        if (_binds && (_options.Uploads == DockerUploadMode.Bind || engine.IsLocal))
        {
            // The directory above is this user's alone; this one is what the container's user may read.
            shared = Directory.CreateDirectory(Path.Combine(scratch, "uploads")).FullName;
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(shared, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
            }
        }

        var creating = engine.CreateAsync(DockerContainer.Describe(_options, nonce, shared), CancellationToken.None);
        try
        {
            return (await creating.WaitAsync(cancellationToken).ConfigureAwait(false), shared);
        }
        catch (SandboxException error) when (shared is not null && _options.Uploads == DockerUploadMode.Automatic && error.Message.Contains(shared, StringComparison.Ordinal))
        {
            // The engine does not see this directory, as when this process is in a container itself.
            _binds = false;
            return await CreateAsync(engine, nonce, scratch, cancellationToken).ConfigureAwait(false);
        }
        catch (DockerImageNotFoundException error)
        {
            lock (_lock)
            {
                _preparation = null; // it was there, and somebody removed it
            }

            throw Missing("is not there any more", error);
        }
        catch (OperationCanceledException)
        {
            _ = RemoveWhenCreatedAsync(engine, creating);
            throw;
        }
    }

    private async Task RemoveWhenCreatedAsync(DockerEngine engine, Task<string> creating)
    {
        await ((Task)creating).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (creating.IsCompletedSuccessfully)
        {
            await RemoveQuietlyAsync(engine, await creating.ConfigureAwait(false)).ConfigureAwait(false);
        }
    }

    private async Task CleanUpAsync(DockerEngine engine, string? id, AttachedStream? stream, string scratch)
    {
        if (id is not null)
        {
            await RemoveQuietlyAsync(engine, id).ConfigureAwait(false);
        }

        if (stream is not null)
        {
            await stream.DisposeAsync().ConfigureAwait(false);
        }

        ScratchDirectory.Delete(scratch);
    }

    private async Task RemoveQuietlyAsync(DockerEngine engine, string id)
    {
        using var timeout = new CancellationTokenSource(_options.StopTimeout);
        try
        {
            await engine.RemoveAsync(id, timeout.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is SandboxException or OperationCanceledException)
        {
            DockerContainers.Leave(id);
            DockerLog.NotRemoved(_logger, id, error.Message);
        }
    }

    /// <summary>Once for all starts: has the image there, and what dead hosts left away. A failure is not kept.</summary>
    private Task PrepareAsync(DockerEngine engine)
    {
        lock (_lock)
        {
            if (_preparation is null || _preparation.IsFaulted || _preparation.IsCanceled || (_preparation.IsCompleted && DockerContainers.AreLeft))
            {
                _preparation = Task.Run(() => PrepareOnceAsync(engine));
            }

            return _preparation;
        }
    }

    private async Task PrepareOnceAsync(DockerEngine engine)
    {
        var isThere = await HasImageAsync(engine).ConfigureAwait(false);
        if (_options.PullPolicy == DockerPullPolicy.Always || (!isThere && _options.PullPolicy == DockerPullPolicy.Missing))
        {
            await PullAsync(engine).ConfigureAwait(false);
        }
        else if (!isThere)
        {
            throw Missing($"is not there, and {nameof(DockerSandboxOptions)}.{nameof(DockerSandboxOptions.PullPolicy)} is {DockerPullPolicy.Never}", null);
        }

        _ = ReapQuietlyAsync(engine);
    }

    private async Task<bool> HasImageAsync(DockerEngine engine)
    {
        using var timeout = new CancellationTokenSource(AnswerTimeout);
        try
        {
            return await engine.HasImageAsync(_options.Image, timeout.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException error)
        {
            throw new SandboxException($"The Docker engine did not answer within {AnswerTimeout.TotalSeconds:0} seconds.", error);
        }
    }

    private async Task PullAsync(DockerEngine engine)
    {
        DockerLog.Pulling(_logger, _options.Image);
        try
        {
            await engine.PullAsync(_options.Image, _pullProgress ?? new Progress<DockerPullProgress>(), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception error) when (error is SandboxException or DockerImageNotFoundException)
        {
            throw Missing($"is not to be had: {error.Message.TrimEnd('.')}", error);
        }

        DockerLog.Pulled(_logger, _options.Image);
    }

    private SandboxException Missing(string what, Exception? cause) => new(
        $"The image '{_options.Image}' {what}. Get it to the engine (docker pull, docker load or docker import), or set "
        + $"{nameof(DockerSandboxOptions)}.{nameof(DockerSandboxOptions.Image)} to one that it has, with Python 3.9 or newer in it.",
        cause);

    private async Task ReapQuietlyAsync(DockerEngine engine)
    {
        try
        {
            await ReapAsync(engine, CancellationToken.None).ConfigureAwait(false);
        }
        catch (SandboxException error)
        {
            DockerLog.NotReaped(_logger, error.Message);
        }
    }

    private async Task<int> ReapAsync(DockerEngine engine, CancellationToken cancellationToken)
    {
        var removed = 0;
        foreach (var (id, host, ended) in await engine.ListAsync(cancellationToken).ConfigureAwait(false))
        {
            // A container whose host is elsewhere is only removed when it has ended: its own host would do no more with it.
            var state = DockerHostIdentity.StateOf(host);
            if (state != DockerHostIdentity.State.Dead && !(state == DockerHostIdentity.State.Unknown && ended) && !DockerContainers.IsLeft(id))
            {
                continue;
            }

            try
            {
                await engine.RemoveAsync(id, cancellationToken).ConfigureAwait(false);
                DockerContainers.Forget(id);
                DockerLog.Reaped(_logger, id, host);
                removed++;
            }
            catch (SandboxException error)
            {
                DockerLog.NotRemoved(_logger, id, error.Message);
            }
        }

        return removed;
    }
}
