using System.Text.Json;
using DeepRecall.Repl;

namespace DeepRecall.Tests.Repl;

public sealed class RpcPeerTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Request_IsOneMessageAndGetsItsAnswer()
    {
        await using var worker = new FakeWorker();
        var request = worker.RequestAsync("m", Token);
        var sent = await worker.ReadAsync();
        Assert.Equal("""{"jsonrpc":"2.0","id":1,"method":"m","params":"p"}""", sent.ToJsonString());

        await worker.WriteAsync("""{"jsonrpc":"2.0","id":1,"result":"r"}""");
        Assert.Equal("r", await request);
    }

    [Fact]
    public async Task Answers_AreMatchedByTheirIds()
    {
        await using var worker = new FakeWorker();
        var first = worker.RequestAsync("a", Token);
        var second = worker.RequestAsync("b", Token);
        var ids = new Dictionary<string, long>(StringComparer.Ordinal);
        for (var index = 0; index < 2; index++)
        {
            var sent = await worker.ReadAsync();
            ids[(string)sent["method"]!] = (long)sent["id"]!;
        }

        await worker.WriteAsync($$"""{"id":{{ids["b"]}},"result":"for b"}""", $$"""{"id":{{ids["a"]}},"result":"for a"}""");
        Assert.Equal("for a", await first);
        Assert.Equal("for b", await second);
    }

    [Fact]
    public async Task NoiseOnTheStream_IsSkipped()
    {
        await using var worker = new FakeWorker();
        var request = worker.RequestAsync("m", Token);
        await worker.ReadAsync();
        await worker.WriteAsync(
            "Welcome to the shell",
            "",
            "{",
            "{\"id\":",
            "[1,2]",
            "{\"id\":99,\"result\":\"an answer to nothing\"}",
            "{\"id\":\"1\",\"result\":\"an answer to a call's id\"}",
            "{\"id\":1.0e0}x",
            "{\"method\":\"\\ud800\"}",
            "{\"id\":1,\"result\":\"r\"}");
        Assert.Equal("r", await request);
    }

    [Fact]
    public async Task SecondAnswerToARequest_IsDropped()
    {
        await using var worker = new FakeWorker();
        var request = worker.RequestAsync("m", Token);
        await worker.ReadAsync();
        await worker.WriteAsync("{\"id\":1,\"result\":\"first\"}", "{\"id\":1,\"result\":\"second\"}");
        Assert.Equal("first", await request);

        var next = worker.RequestAsync("m", Token);
        await worker.ReadAsync();
        await worker.WriteAsync("{\"id\":1,\"result\":\"third\"}", "{\"id\":2,\"result\":\"own\"}");
        Assert.Equal("own", await next);
    }

    [Fact]
    public async Task ErrorOfTheWorker_IsAnExceptionWithItsMessage()
    {
        await using var worker = new FakeWorker();
        var request = worker.RequestAsync("m", Token);
        await worker.ReadAsync();
        await worker.WriteAsync("""{"id":1,"error":{"code":-32000,"message":"ValueError: no"}}""");
        Assert.Equal("ValueError: no", (await Assert.ThrowsAsync<WorkerErrorException>(() => request)).Message);
    }

    [Theory]
    [InlineData("{\"id\":1,\"result\":{\"x\":1}}")]
    [InlineData("{\"id\":1,\"result\":null}")]
    [InlineData("{\"id\":1}")]
    [InlineData("{\"id\":1,\"result\":\"\\ud800\"}")]
    public async Task AnswerOfTheWrongKind_IsAnErrorOfTheWorker(string answer)
    {
        await using var worker = new FakeWorker();
        var request = worker.RequestAsync("m", Token);
        await worker.ReadAsync();
        await worker.WriteAsync(answer);
        await Assert.ThrowsAsync<WorkerErrorException>(() => request);
    }

    [Fact]
    public async Task EndOfTheStream_FailsEveryOpenRequestAndEveryLaterOne()
    {
        await using var worker = new FakeWorker();
        var first = worker.RequestAsync("a", Token);
        var second = worker.RequestAsync("b", Token);
        await worker.EndAsync();
        await Assert.ThrowsAsync<WorkerGoneException>(() => first);
        await Assert.ThrowsAsync<WorkerGoneException>(() => second);
        await Assert.ThrowsAsync<WorkerGoneException>(() => worker.RequestAsync("c", Token));
    }

    [Fact]
    public async Task MessageThatIsTooLong_EndsTheBridge()
    {
        await using var worker = new FakeWorker(maxMessageBytes: 100_000);
        var request = worker.RequestAsync("m", Token);

        // Nobody reads the rest of it, so the write may never end.
        _ = worker.WriteAsync("{\"id\":1,\"result\":\"" + new string('x', 1_000_000) + "\"}");
        var error = await Assert.ThrowsAsync<WorkerGoneException>(() => request);
        Assert.IsType<InvalidDataException>(error.InnerException);
    }

    [Fact]
    public async Task CancelledRequest_LeavesTheBridgeUsable()
    {
        await using var worker = new FakeWorker();
        using var cancelled = new CancellationTokenSource();
        var request = worker.RequestAsync("a", cancelled.Token);
        await worker.ReadAsync();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);

        var next = worker.RequestAsync("b", Token);
        await worker.ReadAsync();
        await worker.WriteAsync("{\"id\":1,\"result\":\"late\"}", "{\"id\":2,\"result\":\"own\"}");
        Assert.Equal("own", await next);
    }

    [Fact]
    public async Task RepeatedCallId_IsExecutedOnceAndAnsweredFromMemory()
    {
        var executions = 0;
        await using var worker = new FakeWorker();
        worker.OnCall = _ => Task.FromResult(HostReply.Text($"execution {Interlocked.Increment(ref executions)}"));

        await worker.CallAsync("c1");
        Assert.Equal("execution 1", (string?)(await worker.ReadAsync())["result"]);
        await worker.CallAsync("c1");
        var again = await worker.ReadAsync();
        Assert.Equal(("c1", "execution 1"), ((string?)again["id"], (string?)again["result"]));
        Assert.Equal(1, executions);
    }

    [Fact]
    public async Task CallIdRepeatedWhileItsCallRuns_IsExecutedOnceAndAnsweredTwice()
    {
        var executions = 0;
        var held = new TaskCompletionSource<HostReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var worker = new FakeWorker();
        worker.OnCall = call =>
        {
            Interlocked.Increment(ref executions);
            return call.Name == "held" ? held.Task : Task.FromResult(HostReply.Text(call.Name));
        };

        await worker.CallAsync("c1", "held");
        await worker.CallAsync("c1", "held");
        await worker.CallAsync("c2", "free");
        Assert.Equal("c2", (string?)(await worker.ReadAsync())["id"]);
        held.SetResult(HostReply.Text("done"));
        for (var index = 0; index < 2; index++)
        {
            var answer = await worker.ReadAsync();
            Assert.Equal(("c1", "done"), ((string?)answer["id"], (string?)answer["result"]));
        }

        Assert.Equal(2, executions);
    }

    [Fact]
    public async Task ForgottenCall_IsNotExecutedAgain()
    {
        var executions = 0;
        await using var worker = new FakeWorker();
        worker.OnCall = _ => Task.FromResult(HostReply.Text($"execution {Interlocked.Increment(ref executions)}"));
        await worker.CallAsync("c2");
        await worker.ReadAsync();
        worker.Peer.ForgetCalls();
        await worker.CallAsync("c2");
        Assert.Contains("the cell that made the call is over", (string?)(await worker.ReadAsync())["error"]!["message"], StringComparison.Ordinal);
        Assert.Equal(1, executions);

        await worker.CallAsync("c3");
        Assert.Equal("execution 2", (string?)(await worker.ReadAsync())["result"]);
    }

    [Fact]
    public async Task Resume_EndsTheLineAndSendsOpenRequestsAgainInTheirOrder()
    {
        await using var worker = new FakeWorker();
        var answered = worker.RequestAsync("answered", Token);
        await worker.ReadAsync();
        await worker.WriteAsync("""{"id":1,"result":"r"}""");
        await answered;
        var first = worker.RequestAsync("a", Token);
        var sent = (await worker.ReadAsync()).ToJsonString();
        using var cancelled = new CancellationTokenSource();
        var given = worker.RequestAsync("given up", cancelled.Token);
        await worker.ReadAsync();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);
        var second = worker.RequestAsync("b", Token);
        var sentSecond = (await worker.ReadAsync()).ToJsonString();

        await worker.Peer.ResumeAsync();
        Assert.Equal(string.Empty, await worker.ReadLineAsync());
        Assert.Equal("""{"jsonrpc":"2.0","method":"resume"}""", await worker.ReadLineAsync());
        Assert.Equal([sent, sentSecond], [await worker.ReadLineAsync(), await worker.ReadLineAsync()]);

        await worker.WriteAsync("""{"id":2,"result":"for a"}""", """{"id":2,"result":"again"}""", """{"id":4,"result":"for b"}""");
        Assert.Equal(("for a", "for b"), (await first, await second));
    }

    [Fact]
    public async Task ResumingAWorkerThatIsGone_IsNoError()
    {
        await using var worker = new FakeWorker();
        await worker.EndAsync();
        await worker.Peer.ResumeAsync();
    }

    [Fact]
    public async Task FailingCall_IsAnsweredWithItsMessage()
    {
        await using var worker = new FakeWorker();
        worker.OnCall = _ => throw new InvalidOperationException("no such thing");
        await worker.CallAsync("c1");
        Assert.Equal("no such thing", (string?)(await worker.ReadAsync())["error"]!["message"]);

        worker.OnCall = _ => Task.FromCanceled<HostReply>(new CancellationToken(true));
        await worker.CallAsync("c2");
        Assert.Equal("the call was cancelled", (string?)(await worker.ReadAsync())["error"]!["message"]);
    }

    [Theory]
    [InlineData("{\"id\":\"x\",\"method\":\"other\",\"params\":{}}")]
    [InlineData("{\"id\":\"x\",\"method\":\"call\",\"params\":{}}")]
    [InlineData("{\"id\":\"x\",\"method\":\"call\",\"params\":null}")]
    [InlineData("{\"id\":\"x\",\"method\":\"call\"}")]
    [InlineData("{\"id\":\"x\",\"method\":\"call\",\"params\":{\"name\":7}}")]
    public async Task CallThatIsNone_IsAnsweredWithAnError(string line)
    {
        await using var worker = new FakeWorker();
        await worker.WriteAsync(line);
        var answer = await worker.ReadAsync();
        Assert.Equal("x", (string?)answer["id"]);
        Assert.NotNull(answer["error"]!["message"]);
    }

    [Fact]
    public async Task ReplyOfAnyText_ArrivesAsValidJson()
    {
        await using var worker = new FakeWorker();
        worker.OnCall = _ => Task.FromResult(HostReply.Text("\0\n\"\\\u2028\uD83D\uDE00 half: \uD800 end"));
        await worker.CallAsync("c1");
        Assert.Equal("\0\n\"\\\u2028\uD83D\uDE00 half: \uFFFD end", (string?)(await worker.ReadAsync())["result"]);

        worker.OnCall = _ => Task.FromResult(HostReply.Texts(["\uDC00", "b"]));
        await worker.CallAsync("c2");
        Assert.Equal("\uFFFD", (string?)(await worker.ReadAsync())["result"]![0]);

        using var parsed = JsonDocument.Parse("""{"a":[1,null]}""");
        worker.OnCall = _ => Task.FromResult(HostReply.Json(parsed.RootElement));
        await worker.CallAsync("c3");
        Assert.Equal("""{"a":[1,null]}""", (await worker.ReadAsync())["result"]!.ToJsonString());
    }

    [Fact]
    public async Task ReplyThatCannotBeWritten_IsAnsweredWithAnError()
    {
        // As of a tool that disposed the document whose element it returned.
        var parsed = JsonDocument.Parse("[1]");
        var element = parsed.RootElement;
        parsed.Dispose();
        await using var worker = new FakeWorker();
        worker.OnCall = _ => Task.FromResult(HostReply.Json(element));
        await worker.CallAsync("c1");
        var answer = await worker.ReadAsync();
        Assert.Equal("c1", (string?)answer["id"]);
        Assert.NotNull(answer["error"]);
    }

    [Fact]
    public async Task Notifications_AreHandedOver()
    {
        await using var worker = new FakeWorker();
        await worker.WriteAsync("""{"method":"output","params":{"cell":1}}""", """{"method":"other"}""");
        await worker.EndAsync();
        Assert.Equal(["output {\"cell\":1}", "other "], worker.Notifications);
    }

    [Fact]
    public async Task NotifyingAWorkerThatIsGone_IsNoError()
    {
        await using var worker = new FakeWorker();
        await worker.EndAsync();
        await worker.Peer.NotifyAsync("interrupt", Token);
    }
}
