using System.IO.Pipelines;
using System.Text;
using System.Text.Json.Nodes;
using DeepRecall.Repl;

namespace DeepRecall.Tests.Repl;

/// <summary>The worker's end of a bridge: the test reads what the host sends, and writes what it likes.</summary>
internal sealed class FakeWorker : IRpcHandler, IAsyncDisposable
{
    private readonly Pipe _toWorker = new();
    private readonly Pipe _toHost = new();
    private readonly Stream _output;
    private readonly StreamReader _input;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    public FakeWorker(int maxMessageBytes = 1 << 20)
    {
        _output = _toHost.Writer.AsStream();
        _input = new StreamReader(_toWorker.Reader.AsStream(), new UTF8Encoding(false));
        Peer = new RpcPeer(_toWorker.Writer.AsStream(), _toHost.Reader.AsStream(), maxMessageBytes, this);
        _running = Peer.RunAsync(_stop.Token);
    }

    public RpcPeer Peer { get; }

    /// <summary>Serves the calls; by default it answers with the function's name.</summary>
    public Func<CallParams, Task<HostReply>> OnCall { get; set; } = call => Task.FromResult(HostReply.Text(call.Name));

    public List<string> Notifications { get; } = [];

    public Task<string> RequestAsync(string method, CancellationToken cancellationToken) =>
        Peer.RequestAsync(method, "p", ProtocolJson.Default.String, ProtocolJson.Default.String, cancellationToken);

    /// <summary>Writes lines as they are.</summary>
    public async Task WriteAsync(params string[] lines)
    {
        await _output.WriteAsync(Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n"))));
        await _output.FlushAsync();
    }

    public Task CallAsync(string id, string name = "f") =>
        WriteAsync($$"""{"jsonrpc":"2.0","id":"{{id}}","method":"call","params":{"arguments":{},"name":"{{name}}"} }""");

    /// <summary>Reads the next message of the host.</summary>
    public async Task<JsonNode> ReadAsync() => JsonNode.Parse((await ReadLineAsync())!)!;

    /// <summary>Reads the next line of the host.</summary>
    public Task<string?> ReadLineAsync() =>
        _input.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(15), TestContext.Current.CancellationToken);

    /// <summary>Ends the worker: the host's reads come to the end of the stream.</summary>
    public async Task EndAsync()
    {
        await _toHost.Writer.CompleteAsync();
        await _running.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    public Task<HostReply> OnCallAsync(CallParams call) => OnCall(call);

    public void OnNotification(string method, ReadOnlySpan<byte> parameters) => Notifications.Add($"{method} {Encoding.UTF8.GetString(parameters)}");

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
        _input.Dispose();
    }
}
