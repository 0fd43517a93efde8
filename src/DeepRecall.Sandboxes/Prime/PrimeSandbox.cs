using System.Text;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.Connect;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.Prime;

/// <summary>The <c>prime</c> environment: a sandbox of Prime Intellect (primeintellect.ai) for each REPL, whose egress is denied unless it is allowed.</summary>
/// <remarks>
/// A REPL's sandbox is created when it starts and deleted when it is disposed. If the host dies before, the service ends it when its
/// <see cref="PrimeSandboxOptions.Timeout"/> is over. The sandbox needs no port and no way out: everything travels over the service's own
/// gateway, also when a connection breaks and is made anew. Thread-safe. Not run against the live service where it was built; see the README.
/// </remarks>
public sealed class PrimeSandbox : ISandbox
{
    private readonly PrimeSettings _settings;
    private readonly PrimeClient _client;
    private readonly CloudHost _host;
    private readonly BackOff _calls;
    private readonly BackOff _reconnects;

    /// <summary>Initializes a new instance of the <see cref="PrimeSandbox"/> class.</summary>
    /// <param name="options">How to reach Prime Intellect; read once.</param>
    /// <param name="handler">The way to the network, for a proxy for instance; not disposed here. Default: one that all environments share.</param>
    /// <param name="loggers">Where logs go. Default: nowhere.</param>
    /// <param name="time">The clock. Default: the system's.</param>
    /// <exception cref="ArgumentException">An option is missing or not allowed.</exception>
    public PrimeSandbox(PrimeSandboxOptions? options = null, HttpMessageHandler? handler = null, ILoggerFactory? loggers = null, TimeProvider? time = null)
        : this(PrimeSettings.Resolve(options ?? new(), Environment.GetEnvironmentVariable), CloudHost.Create(handler, loggers, time), BackOff.Calls, BackOff.Reconnects)
    {
    }

    internal PrimeSandbox(PrimeSettings settings, CloudHost host, BackOff calls, BackOff reconnects)
    {
        _settings = settings;
        _host = host;
        _calls = calls;
        _reconnects = reconnects;
        _client = new PrimeClient(settings, host, calls);
    }

    /// <inheritdoc />
    public string Name => "prime";

    /// <inheritdoc />
    public string Description => _settings.AllowInternet
        ? $"A Linux sandbox (Prime Intellect, image '{_settings.Image}') with the packages of its image and access to the internet."
        : $"A Linux sandbox (Prime Intellect, image '{_settings.Image}') with the packages of its image. There is no access to the network, so nothing can be installed.";

    /// <inheritdoc />
    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        cancellationToken.ThrowIfCancellationRequested();
        var start = CloudLabels.NewStart();
        var created = await CloudCreation.WaitAsync(
            _client.CreateAsync(start, CancellationToken.None),
            created => _client.DiscardAsync(created.Id),
            () => SweepAsync(start),
            cancellationToken).ConfigureAwait(false);
        try
        {
            await _client.WaitUntilRunningAsync(created, cancellationToken).ConfigureAwait(false);
            var auth = await _client.OpenGatewayAsync(created.Id, cancellationToken).ConfigureAwait(false);
            var gateway = new PrimeGateway(created.Id, auth, _client, _host, _calls);
            var worker = await gateway.UploadAsync(CloudWorker.FileName, Encoding.UTF8.GetBytes(request.WorkerSource), cancellationToken).ConfigureAwait(false);

            // A directory of its own, because where commands start there are files of the image and of this library.
            var command = $"cd \"$(mktemp -d)\" && {CloudWorker.CommandLine(worker[..worker.LastIndexOf('/')], request.Nonce)}";
            return _settings.Container
                ? await PrimeContainerProcess.StartAsync(gateway, command, worker[..worker.LastIndexOf('/')], _host, _reconnects, cancellationToken).ConfigureAwait(false)
                : await ConnectProcess.StartAsync(new PrimeService(gateway, _host), new ProcessCommand("/bin/sh", ["-c", command], Id: start, Stdin: true), _host, _reconnects, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await _client.DiscardAsync(created.Id).ConfigureAwait(false);
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
    /// <exception cref="SandboxException">Prime Intellect refused or was not reached.</exception>
    public async Task<int> DeleteLeftoversAsync(TimeSpan minimumAge, CancellationToken cancellationToken = default)
    {
        var latest = _host.Time.GetUtcNow() - minimumAge;
        var deleted = 0;
        foreach (var sandbox in await _client.ListAsync(CloudLabels.Owner, cancellationToken).ConfigureAwait(false))
        {
            if (sandbox.CreatedAt is { } created && created <= latest && await _client.DeleteAsync(sandbox.Id, cancellationToken).ConfigureAwait(false))
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
            foreach (var sandbox in await _client.ListAsync(CloudLabels.StartWord(start), CancellationToken.None).ConfigureAwait(false))
            {
                await _client.DiscardAsync(sandbox.Id).ConfigureAwait(false);
            }
        }
        catch (SandboxException)
        {
            // The error of the creation itself is the one to tell.
        }
    }
}
