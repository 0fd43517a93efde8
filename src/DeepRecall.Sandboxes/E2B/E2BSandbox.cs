using System.Text;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Connect;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.E2B;

/// <summary>The <c>e2b</c> environment: a sandbox of E2B (e2b.dev) for each REPL, without access to the internet unless it is allowed.</summary>
/// <remarks>
/// A REPL's sandbox is created when it starts and deleted when it is disposed. If the host dies before, E2B deletes the sandbox when its
/// <see cref="E2BSandboxOptions.Timeout"/> is over. The sandbox needs no port and no way out: everything travels over E2B's own API, also
/// when a connection breaks and is made anew. Thread-safe. Not run against the live service where it was built; see the README.
/// </remarks>
public sealed class E2BSandbox : ISandbox
{
    private readonly E2BSettings _settings;
    private readonly E2BClient _client;
    private readonly CloudHost _host;
    private readonly BackOff _reconnects;

    /// <summary>Initializes a new instance of the <see cref="E2BSandbox"/> class.</summary>
    /// <param name="options">How to reach E2B; read once.</param>
    /// <param name="handler">The way to the network, for a proxy for instance; not disposed here. Default: one that all environments share.</param>
    /// <param name="loggers">Where logs go. Default: nowhere.</param>
    /// <param name="time">The clock. Default: the system's.</param>
    /// <exception cref="ArgumentException">An option is missing or not allowed.</exception>
    public E2BSandbox(E2BSandboxOptions? options = null, HttpMessageHandler? handler = null, ILoggerFactory? loggers = null, TimeProvider? time = null)
        : this(E2BSettings.Resolve(options ?? new(), Environment.GetEnvironmentVariable), CloudHost.Create(handler, loggers, time), BackOff.Calls, BackOff.Reconnects)
    {
    }

    internal E2BSandbox(E2BSettings settings, CloudHost host, BackOff calls, BackOff reconnects)
    {
        _settings = settings;
        _host = host;
        _reconnects = reconnects;
        _client = new E2BClient(settings, host, calls);
    }

    /// <inheritdoc />
    public string Name => "e2b";

    /// <inheritdoc />
    public string Description => _settings.AllowInternet
        ? $"A Linux sandbox (E2B, template '{_settings.Template}') with the packages of its template and access to the internet."
        : $"A Linux sandbox (E2B, template '{_settings.Template}') with the packages of its template. There is no access to the internet, so nothing can be installed.";

    /// <inheritdoc />
    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        cancellationToken.ThrowIfCancellationRequested();
        var start = CloudLabels.NewStart();
        var created = await CloudCreation.WaitAsync(
            _client.CreateAsync(start, CancellationToken.None),
            created => _client.DiscardAsync(created.SandboxId),
            () => SweepAsync(start),
            cancellationToken).ConfigureAwait(false);
        E2BService? service = null;
        try
        {
            service = new E2BService(_settings, _client, created, _host);
            var worker = await service.UploadAsync(
                CloudWorker.FileName,
                async (stream, token) => await stream.WriteAsync(Encoding.UTF8.GetBytes(request.WorkerSource), token).ConfigureAwait(false),
                cancellationToken).ConfigureAwait(false);
            var directory = worker[..worker.LastIndexOf('/')];

            // A directory of its own, because the user's home has files of the template and of this library.
            var command = new ProcessCommand("/bin/sh", ["-c", $"cd \"$(mktemp -d)\" && {CloudWorker.CommandLine(directory, request.Nonce)}"], Id: start, Stdin: true);
            return await ConnectProcess.StartAsync(service, command, _host, _reconnects, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await (service?.DeleteAsync() ?? _client.DiscardAsync(created.SandboxId)).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Deletes the sandboxes of this library that are in the account for at least so long, whichever host made them: what was left over when
    /// hosts died. A sandbox that is in use and old enough is deleted too.
    /// </summary>
    /// <param name="minimumAge">The least age; <see cref="TimeSpan.Zero"/> for all.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>How many were deleted.</returns>
    /// <exception cref="SandboxException">E2B refused or was not reached.</exception>
    public async Task<int> DeleteLeftoversAsync(TimeSpan minimumAge, CancellationToken cancellationToken = default)
    {
        var latest = _host.Time.GetUtcNow() - minimumAge;
        var deleted = 0;
        foreach (var sandbox in await _client.ListAsync(CloudLabels.OwnerKey, CloudLabels.Owner, cancellationToken).ConfigureAwait(false))
        {
            if (sandbox.StartedAt is { } started && started <= latest && await _client.DeleteAsync(sandbox.SandboxId, cancellationToken).ConfigureAwait(false))
            {
                deleted++;
            }
        }

        return deleted;
    }

    /// <summary>Deletes what a start created without telling so; if that fails too, the sandbox ends when its time runs out.</summary>
    private async Task SweepAsync(string start)
    {
        try
        {
            foreach (var sandbox in await _client.ListAsync(CloudLabels.StartKey, start, CancellationToken.None).ConfigureAwait(false))
            {
                await _client.DiscardAsync(sandbox.SandboxId).ConfigureAwait(false);
            }
        }
        catch (SandboxException)
        {
            // The error of the creation itself is the one to tell.
        }
    }
}
