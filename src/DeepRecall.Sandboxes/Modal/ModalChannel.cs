using DeepRecall.Sandboxes.Cloud;
using Grpc.Net.Client;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>Makes gRPC channels over the host's connections, for messages as large as Modal's own clients take.</summary>
internal static class ModalChannel
{
    private const int MaxMessage = 100 * 1024 * 1024;

    // With a client of its own the channel leaves the handler, which it shares with others, as it is.
    public static GrpcChannel Create(Uri address, CloudHost host) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
    {
        HttpClient = new HttpClient(host.Handler, disposeHandler: false) { Timeout = Timeout.InfiniteTimeSpan },
        DisposeHttpClient = true,
        MaxReceiveMessageSize = MaxMessage,
        MaxSendMessageSize = MaxMessage,
    });

    /// <summary>A sandbox's own address; <see langword="null"/> when it is none. With a control API on the loopback interface it is plain HTTP/2, whatever the address says.</summary>
    public static Uri? RouterAddress(string url, Uri server)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address))
        {
            return null;
        }

        return server.IsLoopback && address.IsLoopback && address.Scheme == Uri.UriSchemeHttps
            ? new UriBuilder(address) { Scheme = Uri.UriSchemeHttp, Port = address.Port }.Uri
            : address;
    }
}
