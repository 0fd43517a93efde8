using System.Collections.Concurrent;
using System.Net.Sockets;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>Stands between a sandbox and the engine, to cut the line, or to be an engine that does not see this machine's files.</summary>
internal sealed class EngineProxy : IAsyncDisposable
{
    // Of the same length, so that the messages around them stay right.
    private static readonly byte[] Shared = "/uploads"u8.ToArray();
    private static readonly byte[] Elsewhere = "/nowhere"u8.ToArray();

    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly string _path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
    private readonly bool _hidesFiles;
    private readonly Task _accepting;

    public EngineProxy(bool hidesFiles = false)
    {
        _hidesFiles = hidesFiles;
        var engine = new Uri(TestEngine.Docker).LocalPath;
        _listener.Bind(new UnixDomainSocketEndPoint(_path));
        _listener.Listen();
        _accepting = AcceptAsync(engine);
    }

    public string Endpoint => $"unix://{_path}";

    /// <summary>Breaks every connection, as the end of the host or of the engine would, and takes no new one.</summary>
    public void Cut()
    {
        _listener.Dispose();
        foreach (var socket in _sockets)
        {
            socket.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Cut();
        await _accepting;
        File.Delete(_path);
    }

    private async Task AcceptAsync(string engine)
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptAsync();
                var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await server.ConnectAsync(new UnixDomainSocketEndPoint(engine));
                _sockets.Add(client);
                _sockets.Add(server);
                _ = CopyAsync(client, server, Shared, Elsewhere);
                _ = CopyAsync(server, client, Elsewhere, Shared);
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The line was cut.
        }
    }

    private async Task CopyAsync(Socket from, Socket to, byte[] replaced, byte[] by)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            for (int read; (read = await from.ReceiveAsync(buffer)) > 0;)
            {
                for (int at; _hidesFiles && (at = buffer.AsSpan(0, read).IndexOf(replaced)) >= 0;)
                {
                    by.CopyTo(buffer, at);
                }

                for (var sent = 0; sent < read;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, read - sent));
                }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            from.Dispose();
            to.Dispose();
        }
    }
}
