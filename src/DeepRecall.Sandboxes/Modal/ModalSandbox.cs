using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>The <c>modal</c> environment: each REPL runs in a sandbox of its own at Modal (modal.com), made for it and terminated after it.</summary>
/// <remarks>
/// The REPL's messages travel on the standard streams of a command in the sandbox, over gRPC: no inbound port, no polling, and a broken connection
/// is taken up again at the byte where it broke. The network is blocked by default. Everything that is made carries the tag <c>managed-by=deeprecall</c>.
/// Thread-safe. Not run against the live service yet: its protocol is proven by an emulator that Modal's own SDK accepts.
/// </remarks>
public sealed class ModalSandbox : ISandbox
{
    private readonly ModalSettings _settings;
    private readonly ModalClient _client;

    /// <summary>Initializes a new instance of the <see cref="ModalSandbox"/> class.</summary>
    /// <param name="options">How to reach Modal and what to ask for; read once.</param>
    /// <param name="handler">The way to the network, able to speak HTTP/2; it is not disposed here. Default: one that all cloud environments of the process share.</param>
    /// <param name="loggers">Where to log to. Default: nowhere.</param>
    /// <param name="time">The clock. Default: the system's.</param>
    /// <exception cref="ArgumentException">An option is missing or out of range; the message names it and what is allowed.</exception>
    public ModalSandbox(ModalSandboxOptions? options = null, HttpMessageHandler? handler = null, ILoggerFactory? loggers = null, TimeProvider? time = null)
    {
        _settings = ModalSettings.Resolve(options ?? new(), System.Environment.GetEnvironmentVariable);
        _client = new ModalClient(_settings, CloudHost.Create(handler, loggers, time));
    }

    /// <inheritdoc />
    public string Name => "modal";

    /// <inheritdoc />
    public string Description => _settings.BlockNetwork
        ? $"Python's standard library and the packages of the image {_settings.Image} can be imported; there is no network, so nothing can be installed. The working directory is an empty scratch directory."
        : $"Python's standard library and the packages of the image {_settings.Image} can be imported; the network can be reached. The working directory is an empty scratch directory.";

    internal ModalClient Client => _client;

    /// <inheritdoc />
    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var task = await _client.CreateAsync(CloudLabels.NewStart(), cancellationToken).ConfigureAwait(false);
        ModalRouter? router = null;
        try
        {
            router = new ModalRouter(_client, task);
            return await ModalProcess.StartAsync(_client, router, task.SandboxId, request, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            router?.Dispose();
            await _client.DiscardAsync(task.SandboxId).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Terminates the sandboxes of this library that are in the account for at least so long, whichever host made them: what was left over when
    /// hosts died. A sandbox that is in use and old enough is terminated too.
    /// </summary>
    /// <param name="minimumAge">The least age; <see cref="TimeSpan.Zero"/> for all.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>How many there were.</returns>
    /// <exception cref="SandboxException">Modal refused or was not reached.</exception>
    public async Task<int> DeleteLeftoversAsync(TimeSpan minimumAge, CancellationToken cancellationToken = default)
    {
        var latest = _client.Host.Time.GetUtcNow() - minimumAge;
        var deleted = 0;
        foreach (var (id, created) in await _client.ListAsync(CloudLabels.OwnerKey, CloudLabels.Owner, cancellationToken).ConfigureAwait(false))
        {
            if (created <= latest)
            {
                await _client.TerminateAsync(id, cancellationToken).ConfigureAwait(false);
                deleted++;
            }
        }

        return deleted;
    }
}
