using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientCancellationTests : IDisposable
{
    // Far above what it takes, far below what a run that does not heed its token would take.
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(15);

    private readonly RecordingSandbox _sandbox = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _sandbox.Dispose();

    [Theory]
    [InlineData(false, "while True: pass")]
    [InlineData(true, "while True: pass")]
    [InlineData(false, "import time\ntime.sleep(1000)")]
    [InlineData(false, "while True:\n    try:\n        while True: pass\n    except BaseException: pass")]
    public async Task CancellingAHungCell_EndsTheRun(bool streamed, string code)
    {
        // The cell tells that it runs by a call, and hangs when it has the answer.
        using var hung = new SemaphoreSlim(0);
        var sub = new ScriptedChatClient(_ =>
        {
            hung.Release();
            return "go on";
        })
        {
            Usage = null,
        };
        var model = new ScriptedChatClient(Script.Code("x = 1"), Script.Code($"llm_query('I run')\n{code}"));

        var error = await CancelAfterAsync(
            streamed, model, hung, options => options.SubClients.Add(new SubClient("sub", sub)), delay: TimeSpan.FromMilliseconds(200));

        var trajectory = error.GetTrajectory();
        Assert.NotNull(trajectory);
        Assert.Equal(StopReason.Cancelled, trajectory.StopReason);
        Assert.Equal(2, trajectory.Turns.Count);
        Assert.Single(trajectory.Turns[0].Cells);
        Assert.Equal(CellStatus.Interrupted, Assert.Single(trajectory.Turns[1].Cells).Status);
        Assert.Equal(30, trajectory.Usage.TotalTokenCount);
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task CancellingAHungRootModel_EndsTheRunWhetherItHeedsItsTokenOrNot(bool streamed, bool heeds)
    {
        using var hung = new SemaphoreSlim(0);
        var model = new ScriptedChatClient(async (request, token) =>
        {
            if (request.Turn == 1)
            {
                hung.Release();
                await Task.Delay(Timeout.Infinite, heeds ? token : CancellationToken.None);
            }

            return new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Code("answer['content'] = 'half'\nprint(1)")));
        });

        var error = await CancelAfterAsync(streamed, model, hung);

        var trajectory = error.GetTrajectory();
        Assert.NotNull(trajectory);
        Assert.Equal(StopReason.Cancelled, trajectory.StopReason);
        Assert.Equal("1\n", Assert.Single(trajectory.Turns).Cells[0].Output);
        Assert.Equal(15, trajectory.Usage.TotalTokenCount);
        Assert.Equal("half", trajectory.PartialAnswer);
        Assert.Null(trajectory.Answer);
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CancellingAHungSubModel_EndsTheRunWhetherItHeedsItsTokenOrNot(bool heeds)
    {
        using var hung = new SemaphoreSlim(0);
        var sub = new ScriptedChatClient(async (_, token) =>
        {
            hung.Release();
            await Task.Delay(Timeout.Infinite, heeds ? token : CancellationToken.None);
            return new ChatResponse();
        });

        var error = await CancelAfterAsync(
            streamed: false, new ScriptedChatClient(Script.Code("llm_query('q')")), hung, options => options.SubClients.Add(new SubClient("sub", sub)));

        Assert.Equal(StopReason.Cancelled, error.GetTrajectory()?.StopReason);
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task CancellingAHungTool_EndsTheRun()
    {
        using var hung = new SemaphoreSlim(0);
        using var cancellation = new CancellationTokenSource();
        using var client = Client(new ScriptedChatClient(Script.Code("wait()")));
        var tool = AIFunctionFactory.Create(
            async () =>
            {
                hung.Release();
                await Task.Delay(Timeout.Infinite, CancellationToken.None);
            },
            "wait");

        var run = client.GetResponseAsync(Script.About("text"), new ChatOptions { Tools = [tool] }, cancellation.Token);
        Assert.True(await hung.WaitAsync(Soon, Token));
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(Soon, Token));
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task CancellingWhileAChildHangs_EndsTheChildToo()
    {
        using var hung = new SemaphoreSlim(0);
        var model = new ScriptedChatClient(async (request, token) =>
        {
            if (request.FirstText.Contains("Child", StringComparison.Ordinal))
            {
                hung.Release();
                await Task.Delay(Timeout.Infinite, CancellationToken.None);
            }

            return new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Code("rlm_query_batched(['Child', 'Child'])")));
        });

        await CancelAfterAsync(streamed: false, model, hung, options => options.MaxDepth = 2, count: 2);

        Assert.Equal(3, _sandbox.Starts);
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CancellingAHungSandboxStart_EndsTheRun(bool heeds)
    {
        var sandbox = new HungSandbox(heeds);
        using var cancellation = new CancellationTokenSource();
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")), options => options.Sandbox = sandbox);

        var run = client.GetResponseAsync(Script.About("text"), cancellationToken: cancellation.Token);
        await sandbox.Started.WaitAsync(Soon, Token);
        await cancellation.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(Soon, Token));
        Assert.Equal(StopReason.Cancelled, error.GetTrajectory()?.StopReason);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SandboxThatDoesNotStartInTime_IsASandboxException(bool heeds)
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")), options =>
        {
            options.Sandbox = new HungSandbox(heeds);
            options.SandboxStartTimeout = TimeSpan.FromMilliseconds(200);
        });

        var error = await Assert.ThrowsAsync<SandboxException>(() => client.GetResponseAsync(Script.About("text"), cancellationToken: Token).WaitAsync(Soon, Token));

        Assert.Contains("The sandbox 'hung' did not start within 0.2 seconds (SandboxStartTimeout).", error.Message, StringComparison.Ordinal);
        Assert.Equal(StopReason.Failed, error.GetTrajectory()?.StopReason);
    }

    [Fact]
    public async Task TokenCancelledBefore_StartsNothing()
    {
        var model = new ScriptedChatClient(Script.Answer("1"));
        using var client = Client(model);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.GetResponseAsync(Script.About("text"), cancellationToken: new CancellationToken(canceled: true)));

        Assert.Empty(model.Requests);
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task ExceptionOfTheRootModel_PassesThroughUnchangedWithTheTrajectory()
    {
        var failure = new HttpRequestException("401 unauthorized");
        using var client = Client(new ScriptedChatClient(request => request.Turn == 0 ? Script.Code("answer['content'] = 'half'") : throw failure));

        var error = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetResponseAsync(Script.About("text", "Why?"), cancellationToken: Token));

        Assert.Same(failure, error);
        var trajectory = error.GetTrajectory();
        Assert.NotNull(trajectory);
        Assert.Equal((StopReason.Failed, "Why?", "half", 1), (trajectory.StopReason, trajectory.Question, trajectory.PartialAnswer, trajectory.Turns.Count));
        Assert.Equal(15, trajectory.Usage.TotalTokenCount);
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task TimeoutOfTheRootModel_IsAFailureAndNotACancellation()
    {
        using var client = Client(new ScriptedChatClient((Func<ScriptedRequest, string>)(_ => throw new TaskCanceledException("timeout", new TimeoutException()))));

        var error = await Assert.ThrowsAsync<TaskCanceledException>(() => client.GetResponseAsync(Script.About("text"), cancellationToken: Token));

        Assert.Equal(StopReason.Failed, error.GetTrajectory()?.StopReason);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CallThatOutlivesItsCell_DoesNotDisturbTheResponse(bool streamed)
    {
        // Threads of the cell are still in calls and in child runs when the answer comes.
        using var client = Client(Outliving("[llm_query] * 8 + [rlm_query] * 2", wait: "time.sleep(0.3)"), options => options.MaxDepth = 2);

        for (var round = 0; round < 8; round++)
        {
            var response = streamed
                ? await client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token).ToChatResponseAsync(Token)
                : await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);

            Assert.Equal("done", response.Text);
            Assert.Equal("done", response.GetTrajectory()?.Answer);
        }

        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Response_ComesWhenTheProcessesOfItsChildrenAreGoneToo(bool streamed)
    {
        using var sandbox = new RecordingSandbox { ChildDisposeDelay = TimeSpan.FromMilliseconds(500) };
        using var client = Plan.Client(Outliving("[rlm_query]", wait: "llm_query('Wait until the other process is there.')", ready: () => sandbox.Starts == 2), options =>
        {
            options.Sandbox = sandbox;
            options.MaxDepth = 2;
        });

        var response = streamed
            ? await client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal("done", response.Text);
        Assert.Equal(2, sandbox.Starts);
        Assert.Equal(0, sandbox.Undisposed);
    }

    [Fact]
    public async Task Cancellation_IsOverWhenTheProcessesOfTheChildrenAreGoneToo()
    {
        using var sandbox = new RecordingSandbox { ChildDisposeDelay = TimeSpan.FromMilliseconds(500) };
        using var hung = new SemaphoreSlim(0);
        var model = new ScriptedChatClient(async (request, token) =>
        {
            if (request.FirstText.Contains("Child", StringComparison.Ordinal))
            {
                hung.Release();
                await Task.Delay(Timeout.Infinite, token);
            }

            return new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Code("x = 1\nrlm_query_batched(['Child', 'Child'])")));
        });

        var error = await CancelAfterAsync(
            streamed: false,
            model,
            hung,
            options =>
            {
                options.Sandbox = sandbox;
                options.MaxDepth = 2;
            },
            count: 2);

        Assert.Equal(StopReason.Cancelled, error.GetTrajectory()?.StopReason);
        Assert.Equal(3, sandbox.Starts);
        Assert.Equal(0, sandbox.Undisposed);
    }

    // A model whose cell answers while threads of it are still in calls that never end by themselves.
    private static ScriptedChatClient Outliving(string calls, string wait, Func<bool>? ready = null) => new(async (request, token) =>
    {
        if (request.Messages[^1].Text.Contains("Child", StringComparison.Ordinal))
        {
            await Task.Delay(Timeout.Infinite, token);
        }

        if (!request.IsRun)
        {
            while (!ready!())
            {
                await Task.Delay(20, token);
            }

            return new ChatResponse(new ChatMessage(ChatRole.Assistant, "It is."));
        }

        return new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Code(
            $"""
            import threading, time
            for call in {calls}:
                threading.Thread(target=call, args=("Child",), daemon=True).start()
            {wait}
            FINAL("done")
            """)));
    });

    private DeepRecallChatClient Client(IChatClient model, Action<DeepRecallOptions>? configure = null) => Plan.Client(model, options =>
    {
        options.Sandbox = _sandbox;
        configure?.Invoke(options);
    });

    private async Task<OperationCanceledException> CancelAfterAsync(
        bool streamed, ScriptedChatClient model, SemaphoreSlim hung, Action<DeepRecallOptions>? configure = null, int count = 1, TimeSpan delay = default)
    {
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(Token);
        using var client = Client(model, configure);
        var run = streamed
            ? client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: cancellation.Token).ToChatResponseAsync(CancellationToken.None)
            : client.GetResponseAsync(Script.About("text"), cancellationToken: cancellation.Token);
        for (var waited = 0; waited < count; waited++)
        {
            Assert.True(await hung.WaitAsync(Soon, Token));
        }

        await Task.Delay(delay, Token);
        await cancellation.CancelAsync();
        return await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(Soon, Token));
    }

    private sealed class HungSandbox(bool heeds) : ISandbox
    {
        private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Started => _started.Task;

        public string Name => "hung";

        public string Description => "It never starts.";

        public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
        {
            _started.TrySetResult();
            await Task.Delay(Timeout.Infinite, heeds ? cancellationToken : CancellationToken.None);
            throw new InvalidOperationException("It started after all.");
        }
    }
}
