using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>What a cloud environment gets from its host: the way to the network, the clock and the log.</summary>
internal sealed record CloudHost(HttpMessageHandler Handler, TimeProvider Time, ILogger Logger)
{
    // One for all environments of the process, as connections are pooled in it.
    private static readonly Lazy<SocketsHttpHandler> SharedHandler = new(() => CreateHandler());

    public static CloudHost Create(HttpMessageHandler? handler, ILoggerFactory? loggers, TimeProvider? time) => new(
        handler ?? SharedHandler.Value,
        time ?? TimeProvider.System,
        loggers?.CreateLogger("DeepRecall.Sandboxes") ?? NullLogger.Instance);

    /// <summary>A handler for calls and for streams that live as long as a sandbox does.</summary>
    public static SocketsHttpHandler CreateHandler() => new()
    {
        PooledConnectionLifetime = TimeSpan.FromMinutes(10),
        ConnectTimeout = TimeSpan.FromSeconds(15),
        EnableMultipleHttp2Connections = true,
        KeepAlivePingDelay = TimeSpan.FromSeconds(30),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        UseCookies = false,

        // A redirect would carry the key's header on to another host.
        AllowAutoRedirect = false,
    };
}
