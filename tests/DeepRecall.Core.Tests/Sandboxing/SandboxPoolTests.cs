using DeepRecall.Repl;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace DeepRecall.Tests.Sandboxing;

public sealed class SandboxPoolTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task FirstRequest_StartsItsOwnProcess_AndAnIdleOneFollows()
    {
        var sandbox = new FakeSandbox(defaultPoolSize: 1);
        await using var pool = new SandboxPool(sandbox);
        Assert.Empty(sandbox.Started);
        var first = await pool.StartAsync(Request("first"), Token);
        Assert.Null(first.Nonce);
        Assert.Equal("first", sandbox.Started.First().Request.Nonce);
        await WaitForIdleAsync(pool, 1);
        Assert.Equal(2, sandbox.Started.Count);

        var second = await pool.StartAsync(Request("second"), Token);
        Assert.Equal(sandbox.Started.ElementAt(1).Request.Nonce, second.Nonce);
        Assert.NotEqual("second", second.Nonce);
        await WaitForIdleAsync(pool, 1);
        Assert.Equal(3, sandbox.Started.Count);
    }

    [Fact]
    public async Task ManyRequests_GetAProcessEach()
    {
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 5 });
        await pool.WarmAsync(Token);
        var processes = await Task.WhenAll(Enumerable.Range(0, 40).Select(number => Task.Run(async () => (Process: await pool.StartAsync(Request($"{number}"), Token), Nonce: $"{number}"), Token)));
        Assert.Equal(40, processes.Select(each => each.Process.Nonce ?? each.Nonce).Distinct().Count());
        await WaitForIdleAsync(pool, 5);
        Assert.Equal(45, sandbox.Started.Count);
    }

    [Fact]
    public async Task ProcessThatDiedWhileItWasIdle_IsNotHandedOut()
    {
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 });
        await pool.WarmAsync(Token);
        var dead = sandbox.Started.Single();
        await dead.KillAsync(Token);
        var process = await pool.StartAsync(Request("mine"), Token);
        Assert.False(process.Exited.IsCompleted);
        Assert.Equal(1, dead.Disposals);
    }

    [Fact]
    public async Task DeadProcessThatCannotBeEnded_IsNoTroubleOfTheRequest()
    {
        var logger = new FakeLogger<SandboxPool>();
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 }, logger: logger);
        await pool.WarmAsync(Token);
        var dead = sandbox.Started.Single();
        dead.DisposeFailure = new IOException("gone");
        await dead.KillAsync(Token);
        Assert.False((await pool.StartAsync(Request("mine"), Token)).Exited.IsCompleted);
        Assert.Equal("gone", logger.LatestRecord.Exception?.Message);
    }

    [Theory]
    [InlineData(10, true)]
    [InlineData(11, false)]
    public async Task ProcessThatWaitedTooLong_IsNotHandedOut(int minutes, bool isHandedOut)
    {
        var time = new FakeTimeProvider();
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1, MaxIdleTime = TimeSpan.FromMinutes(10) }, time);
        await pool.WarmAsync(Token);
        time.Advance(TimeSpan.FromMinutes(minutes));
        var process = await pool.StartAsync(Request("mine"), Token);
        Assert.Equal(isHandedOut, process.Nonce is not null);
        await WaitUntilAsync(() => sandbox.Started.First().Disposals == (isHandedOut ? 0 : 1));
    }

    [Fact]
    public async Task ProcessThatWaitedTooLong_IsEndedWithoutARequest()
    {
        var time = new FakeTimeProvider();
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 2, MaxIdleTime = TimeSpan.FromDays(3) }, time);
        await pool.WarmAsync(Token);
        time.Advance(TimeSpan.FromDays(2));
        await pool.StartAsync(Request("mine"), Token);
        await WaitForIdleAsync(pool, 2);
        time.Advance(TimeSpan.FromDays(1.5));
        await WaitUntilAsync(() => sandbox.Started.ElementAt(1).Disposals == 1);
        Assert.Equal(1, pool.IdleCount);
        time.Advance(TimeSpan.FromDays(3));
        await WaitUntilAsync(() => sandbox.Started.ElementAt(2).Disposals == 1);
        Assert.Equal(0, pool.IdleCount);

        // The one that a request has is its own, and there are no others until there is a request again.
        Assert.Equal(0, sandbox.Started.First().Disposals);
        Assert.Equal(3, sandbox.Started.Count);
        await pool.StartAsync(Request("again"), Token);
        await WaitForIdleAsync(pool, 2);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task StartThatTakesTooLong_IsGivenUp_AndTheNextOneIsMade(bool heedsItsToken)
    {
        var time = new FakeTimeProvider();
        var sandbox = new FakeSandbox { HeedsToken = heedsItsToken };
        var gate = new TaskCompletionSource();
        sandbox.Gate = gate.Task;
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1, StartTimeout = TimeSpan.FromSeconds(7) }, time);
        var warming = pool.WarmAsync(Token);
        time.Advance(TimeSpan.FromSeconds(8));
        var error = await Assert.ThrowsAsync<SandboxException>(() => warming.WaitAsync(TimeSpan.FromSeconds(30), Token));
        Assert.Equal(SandboxErrorKind.Timeout, error.Kind);
        Assert.Contains("'fake' did not start within 7 seconds (SandboxPoolOptions.StartTimeout)", error.Message, StringComparison.Ordinal);
        gate.SetResult();
        await WaitUntilAsync(() => sandbox.Started.All(process => process.Disposals == 1) && sandbox.Started.Count == (heedsItsToken ? 0 : 1));
        await pool.WarmAsync(Token);
        Assert.Equal(1, pool.IdleCount);
    }

    [Fact]
    public async Task PoolOfNone_StartsWhatIsAskedForAndNoMore()
    {
        var sandbox = new FakeSandbox(defaultPoolSize: 0);
        await using var pool = new SandboxPool(sandbox);
        await pool.WarmAsync(Token);
        await pool.StartAsync(Request("a"), Token);
        await pool.StartAsync(Request("b"), Token);
        Assert.Equal(["a", "b"], sandbox.Started.Select(process => process.Request.Nonce));
    }

    [Fact]
    public async Task AnotherWorker_IsStartedPastThePool()
    {
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 });
        await pool.WarmAsync(Token);
        var process = await pool.StartAsync(new SandboxStartRequest { WorkerSource = "pass", Nonce = "other" }, Token);
        Assert.Null(process.Nonce);
        Assert.Equal("pass", sandbox.Started.Last().Request.WorkerSource);
        Assert.Equal(1, pool.IdleCount);
    }

    [Fact]
    public async Task IdleProcess_IsWhatTheEnvironmentMade()
    {
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 });
        await pool.WarmAsync(Token);
        await using var process = await pool.StartAsync(Request("mine"), Token);
        Assert.True(process.Isolation!.IsComplete);
        Assert.Equal("/fake/x", await process.UploadAsync("x", (_, _) => Task.CompletedTask, Token));
        await process.SealAsync(Token);
        Assert.True(sandbox.Started.First().IsSealed);
        var resumes = 0;
        EventHandler onResumed = (_, _) => resumes++;
        process.Resumed += onResumed;
        sandbox.Started.First().Resume();
        process.Resumed -= onResumed;
        sandbox.Started.First().Resume();
        Assert.Equal(1, resumes);
        Assert.True(await process.InterruptAsync(Token));
        await process.KillAsync(Token);
        Assert.Equal(9, (await process.Exited).Signal);
        await process.DisposeAsync();
        Assert.Equal(1, sandbox.Started.First().Disposals);
    }

    [Fact]
    public async Task StartThatFails_IsToldToWhoWaits_AndLoggedInTheBackground()
    {
        var logger = new FakeLogger<SandboxPool>();
        var sandbox = new FakeSandbox { Failure = new SandboxException("no room") };
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 }, logger: logger);
        Assert.Equal("no room", (await Assert.ThrowsAsync<SandboxException>(() => pool.WarmAsync(Token))).Message);
        Assert.Equal("no room", (await Assert.ThrowsAsync<SandboxException>(() => pool.StartAsync(Request("a"), Token))).Message);
        await WaitUntilAsync(() => logger.Collector.Count > 0);
        Assert.Equal(LogLevel.Warning, logger.LatestRecord.Level);
        Assert.Equal("no room", logger.LatestRecord.Exception?.Message);

        sandbox.Failure = null;
        await pool.StartAsync(Request("b"), Token);
        await WaitForIdleAsync(pool, 1);
    }

    [Fact]
    public async Task Dispose_EndsTheIdleProcessesAndLeavesTheOthers()
    {
        var sandbox = new FakeSandbox();
        var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 3 });
        await pool.WarmAsync(Token);
        var given = await pool.StartAsync(Request("mine"), Token);
        await WaitForIdleAsync(pool, 3);
        await pool.DisposeAsync();
        await pool.DisposeAsync();
        Assert.Equal(4, sandbox.Started.Count);
        Assert.Equal(3, sandbox.Started.Count(process => process.Disposals == 1));
        Assert.False(given.Exited.IsCompleted);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => pool.StartAsync(Request("late"), Token));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => pool.WarmAsync(Token));
    }

    [Fact]
    public async Task Dispose_EndsTheStartThatIsUnderWay()
    {
        var sandbox = new FakeSandbox();
        var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 });
        sandbox.Gate = new TaskCompletionSource().Task;
        var warming = pool.WarmAsync(Token);
        await pool.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10), Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => warming);
        Assert.Empty(sandbox.Started);
    }

    [Fact]
    public async Task CancelledRequest_TakesNoProcess()
    {
        var sandbox = new FakeSandbox();
        await using var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 });
        await pool.WarmAsync(Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pool.StartAsync(Request("a"), new CancellationToken(canceled: true)));
        Assert.Equal(1, pool.IdleCount);
    }

    [Fact]
    public void Options_OutOfRange_AreRefused()
    {
        Assert.Contains("SandboxPoolOptions.Size must be 0 or more", Assert.Throws<ArgumentOutOfRangeException>(() => new SandboxPool(new FakeSandbox(), new SandboxPoolOptions { Size = -1 })).Message, StringComparison.Ordinal);
        Assert.Contains("SandboxPoolOptions.MaxIdleTime must be more than zero", Assert.Throws<ArgumentOutOfRangeException>(() => new SandboxPool(new FakeSandbox(), new SandboxPoolOptions { MaxIdleTime = TimeSpan.Zero })).Message, StringComparison.Ordinal);
        Assert.Contains("SandboxPoolOptions.StartTimeout must be more than zero, or infinite", Assert.Throws<ArgumentOutOfRangeException>(() => new SandboxPool(new FakeSandbox(), new SandboxPoolOptions { StartTimeout = TimeSpan.Zero })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Completions_RunFromThePool_AndLeaveNothing()
    {
        using var sandbox = new RecordingSandbox();
        await using (var pool = new SandboxPool(sandbox, new SandboxPoolOptions { Size = 1 }))
        {
            await pool.WarmAsync(Token);
            var model = new ScriptedChatClient(_ => "```repl\nseen = globals().get('seen', 0) + 1\nFINAL(seen)\n```");
            using var client = new DeepRecallChatClient(model, new DeepRecallOptions { Sandbox = pool });
            for (var completion = 0; completion < 3; completion++)
            {
                var response = await client.GetResponseAsync("How often were you here?", cancellationToken: Token);
                Assert.Equal("1", response.Text);
                Assert.Equal("local", response.GetTrajectory()!.Environment);
                await WaitForIdleAsync(pool, 1);
            }

            // One for each completion, and the idle one.
            Assert.Equal(4, sandbox.Starts);
            Assert.Equal(1, sandbox.Undisposed);
        }

        await sandbox.AssertNothingLeftAsync(Token);
    }

    private static SandboxStartRequest Request(string nonce) => new() { WorkerSource = WorkerSource.Text, Nonce = nonce };

    private static Task WaitForIdleAsync(SandboxPool pool, int count) => WaitUntilAsync(() => pool.IdleCount == count);

    private static async Task WaitUntilAsync(Func<bool> isTrue)
    {
        for (var attempt = 0; attempt < 1000 && !isTrue(); attempt++)
        {
            await Task.Delay(20, Token);
        }

        Assert.True(isTrue());
    }
}
