using System.Text;
using System.Text.Json.Nodes;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Local;

/// <summary>The worker as it is, spoken to line by line, without the host's side of the bridge.</summary>
internal sealed class RawWorker : IAsyncDisposable
{
    private readonly StreamReader _output;

    private RawWorker(ISandboxProcess process)
    {
        Process = process;
        _output = new StreamReader(process.Output, new UTF8Encoding(false, throwOnInvalidBytes: true));
    }

    public ISandboxProcess Process { get; }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Starts a worker and initializes it.</summary>
    public static async Task<RawWorker> StartAsync()
    {
        var process = await new LocalSandbox(new LocalSandboxOptions { AllowSubprocesses = true }).StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "the nonce" }, Token);
        var worker = new RawWorker(process);
        var ready = await worker.ReadAsync("ready");
        Assert.Equal("the nonce", (string?)ready["params"]!["nonce"]);
        await worker.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"output_limit":20000,"max_message_bytes":1000000,"answer_json":false,"functions":["llm_query"],"tools":[]}}""");
        Assert.NotNull((await worker.AnswerAsync(1))["result"]);
        return worker;
    }

    public async Task SendAsync(string line)
    {
        await Process.Input.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), Token);
        await Process.Input.FlushAsync(Token);
    }

    public Task ExecuteAsync(int id, string code) =>
        SendAsync(new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["id"] = id,
            ["method"] = "execute",
            ["params"] = new JsonObject { ["cell"] = id, ["code"] = code },
        }.ToJsonString());

    /// <summary>Reads the next message of any kind; every line must be one, but for the empty one that the worker begins with.</summary>
    public async Task<JsonNode?> ReadAsync()
    {
        string? line;
        do
        {
            line = await _output.ReadLineAsync(Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token);
        }
        while (line?.Length == 0);
        return line is null ? null : JsonNode.Parse(line)!;
    }

    /// <summary>Reads on to the next message of a method.</summary>
    public async Task<JsonNode> ReadAsync(string method)
    {
        while (true)
        {
            var message = await ReadAsync() ?? throw new EndOfStreamException();
            if ((string?)message["method"] == method)
            {
                return message;
            }
        }
    }

    /// <summary>Reads on to the answer of a request; output on the way is skipped, and nothing else may come.</summary>
    public async Task<JsonNode> AnswerAsync(int id)
    {
        while (true)
        {
            var message = await ReadAsync() ?? throw new EndOfStreamException();
            if (message["method"] is null)
            {
                Assert.Equal(id, (int)message["id"]!);
                return message;
            }

            Assert.Equal("output", (string?)message["method"]);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Process.DisposeAsync();
        _output.Dispose();
    }
}
