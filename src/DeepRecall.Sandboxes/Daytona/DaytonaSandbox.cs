using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.Daytona;

/// <summary>The <c>daytona</c> environment: each REPL runs in a sandbox of its own at Daytona (daytona.io), made for it and deleted after it.</summary>
/// <remarks>
/// The REPL's messages travel through a terminal in raw mode, over a WebSocket: no inbound port, no polling. A connection that breaks is made anew, and
/// what may have been lost is sent again. The network is blocked by default. Everything that is made carries the label <c>managed-by=deeprecall</c>.
/// Thread-safe. Not run against the live service yet: its protocol is proven by an emulator that Daytona's own SDK accepts.
/// </remarks>
public sealed class DaytonaSandbox : ISandbox
{
    private readonly DaytonaSettings _settings;
    private readonly DaytonaClient _client;

    /// <summary>Initializes a new instance of the <see cref="DaytonaSandbox"/> class.</summary>
    /// <param name="options">How to reach Daytona and what to ask for; read once.</param>
    /// <param name="handler">The way to the network; it is not disposed here. Default: one that all cloud environments of the process share.</param>
    /// <param name="loggers">Where to log to. Default: nowhere.</param>
    /// <param name="time">The clock. Default: the system's.</param>
    /// <exception cref="ArgumentException">An option is missing or out of range; the message names it and what is allowed.</exception>
    public DaytonaSandbox(DaytonaSandboxOptions? options = null, HttpMessageHandler? handler = null, ILoggerFactory? loggers = null, TimeProvider? time = null)
    {
        _settings = DaytonaSettings.Resolve(options ?? new(), Environment.GetEnvironmentVariable);
        _client = new DaytonaClient(_settings, CloudHost.Create(handler, loggers, time));
    }

    /// <inheritdoc />
    public string Name => "daytona";

    /// <inheritdoc />
    public string Description => _settings.NetworkBlockAll
        ? "Python's standard library and the packages installed in the sandbox can be imported; there is no network, so nothing can be installed. The working directory is an empty scratch directory."
        : "Python's standard library and the packages installed in the sandbox can be imported; the network can be reached. The working directory is an empty scratch directory.";

    internal DaytonaClient Client => _client;

    /// <inheritdoc />
    public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var machine = await _client.CreateAsync(CloudLabels.NewStart(), cancellationToken).ConfigureAwait(false);
        try
        {
            return await DaytonaProcess.StartAsync(_client, machine, request, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await _client.DiscardAsync(machine.Id).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Deletes the sandboxes of this library that are in the account for at least so long, whichever host made them: what was left over when
    /// hosts died. A sandbox that is in use and old enough is deleted too.
    /// </summary>
    /// <param name="minimumAge">The least age; <see cref="TimeSpan.Zero"/> for all.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>How many there were.</returns>
    /// <exception cref="SandboxException">Daytona refused or was not reached.</exception>
    public async Task<int> DeleteLeftoversAsync(TimeSpan minimumAge, CancellationToken cancellationToken = default)
    {
        var latest = _client.Host.Time.GetUtcNow() - minimumAge;
        var deleted = 0;
        foreach (var (id, created) in await _client.ListAsync(CloudLabels.OwnerKey, CloudLabels.Owner, cancellationToken).ConfigureAwait(false))
        {
            if (created <= latest)
            {
                await _client.DeleteAsync(id, cancellationToken).ConfigureAwait(false);
                deleted++;
            }
        }

        return deleted;
    }
}
