using System.Diagnostics;
using DeepRecall.Sandboxing;
using DeepRecall.Sessions;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Budgets;

/// <summary>Whatever hangs, a request ends at its time.</summary>
public sealed class DeadlineTests : IDisposable
{
    // A fifth of it is for stopping what runs and asking for an answer, so that it may not be short on a machine under load.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(6);

    // A second after the limit is the promise; the rest is for a machine under load.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(7);

    private readonly RecordingSandbox _sandbox = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _sandbox.Dispose();

    [Theory]
    [InlineData(false, "while True: pass")]
    [InlineData(true, "import time\ntime.sleep(1000)")]
    [InlineData(false, "while True:\n    try:\n        while True: pass\n    except BaseException: pass")]
    [InlineData(true, "llm_query('hang')")]
    public async Task HungCell_EndsAtTheTime(bool streamed, string code)
    {
        var sub = Hanging(_ => true);
        var response = await RunAsync(streamed, new ScriptedChatClient(request => request.IsRun ? Script.Code(code) : "closing"), options => options.SubClients.Add(new SubClient("sub", sub)));

        Assert.Equal((StopReason.MaxDuration, "closing"), (response.GetTrajectory()?.StopReason, response.Text));
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task AnswerOfACellThatIsInterruptedAtTheTime_IsNotLost()
    {
        var response = await RunAsync(false, new ScriptedChatClient(Script.Code("answer['content'] = 'as far as I got'\nwhile True: pass")));

        Assert.Equal(("as far as I got", ChatFinishReason.Length), (response.Text, response.FinishReason));
        var trajectory = response.GetTrajectory();
        Assert.Equal(StopReason.MaxDuration, trajectory?.StopReason);
        Assert.Contains("MaxDuration, 6 seconds", trajectory?.StopDetail, StringComparison.Ordinal);
        Assert.Equal(CellStatus.Interrupted, trajectory?.Turns[0].Cells[0].Status);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task HungModelCall_EndsAtTheTimeWhetherItHeedsItsTokenOrNot(bool streamed, bool heeds)
    {
        var model = Hanging(request => request.Turn == 1, heeds, Script.Code("answer['content'] = 'first'"));
        var response = await RunAsync(streamed, model);

        Assert.Equal(("first", StopReason.MaxDuration), (response.Text, response.GetTrajectory()?.StopReason));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ModelCallThatBlocksItsCaller_EndsAtTheTimeToo(bool streamed)
    {
        using var never = new ManualResetEventSlim();
        var model = new ScriptedChatClient(request =>
        {
            if (request.Turn == 1)
            {
                never.Wait(Token);
            }

            return Script.Code("answer['content'] = 'first'");
        });
        var response = await RunAsync(streamed, model);
        never.Set();

        Assert.Equal(("first", StopReason.MaxDuration), (response.Text, response.GetTrajectory()?.StopReason));
    }

    [Fact]
    public async Task ModelThatHangsInTheLastQuestionToo_LeavesAStatement()
    {
        var response = await RunAsync(false, Hanging(request => request.Turn == 1 || !request.IsRun, heeds: true, Script.Code("x = 1")));

        Assert.StartsWith("No answer was found before the run was ended: the time for the request", response.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task HungSandboxStart_EndsAtTheTime(bool heeds)
    {
        var model = new ScriptedChatClient("unused");
        var response = await RunAsync(false, model, options => options.Sandbox = new HungSandbox(heeds));

        Assert.Equal(StopReason.MaxDuration, response.GetTrajectory()?.StopReason);
        Assert.Empty(model.Requests);
    }

    [Fact]
    public async Task CallThatIsLeftBehind_DoesNotKeepTheLastQuestionWaiting()
    {
        // It holds nearly all of the tokens, and never ends.
        var sub = Hanging(_ => true, heeds: false);
        var response = await RunAsync(
            false,
            new ScriptedChatClient(request => request.IsRun ? Script.Code("llm_query('hang')") : "closing"),
            options =>
            {
                options.MaxTokens = 60_000;
                options.SubClients.Add(new SubClient("sub", sub, new ChatOptions { MaxOutputTokens = 50_000 }));
            });
        Assert.Equal("closing", response.Text);
    }

    [Fact]
    public async Task WaitForAConversationThatIsInUse_EndsAtTheTime()
    {
        await using var store = new SessionStore();
        await using var inUse = await store.AcquireAsync("c", Token);
        var response = await RunAsync(
            true,
            new ScriptedChatClient("unused"),
            options =>
            {
                options.Persistent = true;
                options.SessionStore = store;
            },
            new ChatOptions { ConversationId = "c" });
        Assert.Equal(StopReason.MaxDuration, response.GetTrajectory()?.StopReason);
    }

    [Fact]
    public async Task HungTool_EndsAtTheTime()
    {
        var tool = AIFunctionFactory.Create(async () => await new TaskCompletionSource<int>().Task, "forever");
        var response = await RunAsync(
            false, new ScriptedChatClient(request => request.IsRun ? Script.Code("answer['content'] = 'before'\nforever()") : "closing"), chatOptions: new ChatOptions { Tools = [tool] });

        Assert.Equal("before", response.Text);
    }

    [Fact]
    public async Task HungChild_EndsAtTheTimeWithItsTree()
    {
        var model = Hanging(request => request.IsRun && request.FirstText.Contains("child task", StringComparison.Ordinal), heeds: false, Script.Code("answer['content'] = 'mine'\nprint(rlm_query_batched(['child task'] * 3))"));
        var response = await RunAsync(false, model, options => options.MaxDepth = 2, limit: 2 * Limit);

        Assert.Equal(("mine", StopReason.MaxDuration), (response.Text, response.GetTrajectory()?.StopReason));
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RequestOfACallerWhoCancels_IsCancelledAndNoLimit(bool streamed)
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var model = new ScriptedChatClient(async (_, _) =>
        {
            await cancel.CancelAsync();
            await Task.Delay(Timeout.Infinite, cancel.Token);
            return null!;
        });
        using var client = Plan.Client(model, options =>
        {
            options.Sandbox = _sandbox;
            options.MaxDuration = TimeSpan.FromMinutes(5);
        });
        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => streamed
            ? client.GetStreamingResponseAsync(Script.About("c"), cancellationToken: cancel.Token).ToChatResponseAsync(Token)
            : client.GetResponseAsync(Script.About("c"), cancellationToken: cancel.Token));
        Assert.Equal(StopReason.Cancelled, error.GetTrajectory()?.StopReason);
    }

    private async Task<ChatResponse> RunAsync(bool streamed, IChatClient model, Action<DeepRecallOptions>? configure = null, ChatOptions? chatOptions = null, TimeSpan? limit = null)
    {
        var duration = limit ?? Limit;
        using var client = Plan.Client(model, options =>
        {
            options.Sandbox = _sandbox;
            options.MaxDuration = duration;
            configure?.Invoke(options);
        });
        var started = Stopwatch.GetTimestamp();
        var response = streamed
            ? await client.GetStreamingResponseAsync(Script.About("c"), chatOptions, Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(Script.About("c"), chatOptions, Token);
        Assert.InRange(Stopwatch.GetElapsedTime(started), duration * 0.6, duration + Patience);
        Assert.Equal(ChatFinishReason.Length, response.FinishReason);
        return response;
    }

    private static ScriptedChatClient Hanging(Func<ScriptedRequest, bool> hangs, bool heeds = true, string reply = "unused") =>
        new(async (request, token) =>
        {
            if (hangs(request))
            {
                await Task.Delay(Timeout.Infinite, heeds ? token : CancellationToken.None);
            }

            return new ChatResponse(new ChatMessage(ChatRole.Assistant, reply));
        });

    private sealed class HungSandbox(bool heeds) : ISandbox
    {
        public string Name => "hung";

        public string Description => "Nothing starts here.";

        public async Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, heeds ? cancellationToken : CancellationToken.None);
            throw new InvalidOperationException();
        }
    }
}
