using DeepRecall.Repl;
using DeepRecall.Sessions;
using DeepRecall.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DeepRecall.Tests.Sessions;

public sealed class SessionStoreTests : IDisposable
{
    private readonly RecordingSandbox _sandbox = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _sandbox.Dispose();

    [Fact]
    public async Task Session_IsThereForTheNextLease()
    {
        await using var store = new SessionStore();
        var session = await AddAsync(store, "a");
        await using var lease = await store.AcquireAsync("a", Token);
        Assert.Same(session, lease.Session);
        Assert.Null(lease.Lost);
        Assert.Equal(1, store.Count);
    }

    [Fact]
    public async Task LeaseWithoutASession_LeavesNothing()
    {
        await using var store = new SessionStore();
        await (await store.AcquireAsync("a", Token)).DisposeAsync();
        Assert.Equal(0, store.Count);
    }

    [Fact]
    public async Task SecondRequestOnAConversation_WaitsForTheFirst()
    {
        await using var store = new SessionStore();
        await AddAsync(store, "a");
        var first = await store.AcquireAsync("a", Token);
        var second = store.AcquireAsync("a", Token).AsTask();
        await Task.Delay(50, Token);
        Assert.False(second.IsCompleted);

        await first.DisposeAsync();
        await first.DisposeAsync(); // twice is once
        await using var lease = await second;
        Assert.NotNull(lease.Session);
        var third = store.AcquireAsync("a", Token).AsTask();
        Assert.False(third.IsCompleted);
    }

    [Fact]
    public async Task Wait_EndsWithItsToken()
    {
        await using var store = new SessionStore();
        await using var first = await store.AcquireAsync("a", Token);
        using var cancel = new CancellationTokenSource();
        var second = store.AcquireAsync("a", cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }

    [Fact]
    public async Task IdleSession_EndsAfterItsTimeAndSaysSo()
    {
        var time = new FakeTimeProvider();
        await using var store = new SessionStore(idleTimeout: TimeSpan.FromMinutes(10), timeProvider: time);
        await AddAsync(store, "a");
        time.Advance(TimeSpan.FromMinutes(9));
        await (await store.AcquireAsync("a", Token)).DisposeAsync();
        time.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal(1, store.Count);

        time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(0, store.Count);
        await _sandbox.AssertNothingLeftAsync(Token);
        await using var lease = await store.AcquireAsync("a", Token);
        Assert.Null(lease.Session);
        Assert.Equal("it was idle for 10 minutes", lease.Lost);
    }

    [Fact]
    public async Task SessionInUse_DoesNotBecomeIdle()
    {
        var time = new FakeTimeProvider();
        await using var store = new SessionStore(timeProvider: time);
        await AddAsync(store, "a");
        await using var lease = await store.AcquireAsync("a", Token);
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1, store.Count);
    }

    [Fact]
    public async Task OneTooMany_EndsTheOneThatIsIdleForLongest()
    {
        var time = new FakeTimeProvider();
        await using var store = new SessionStore(maxSessions: 2, timeProvider: time);
        await AddAsync(store, "a");
        time.Advance(TimeSpan.FromSeconds(1));
        await AddAsync(store, "b");
        time.Advance(TimeSpan.FromSeconds(1));
        await (await store.AcquireAsync("a", Token)).DisposeAsync();
        await AddAsync(store, "c");

        Assert.Equal(2, store.Count);
        await using (var b = await store.AcquireAsync("b", Token))
        {
            Assert.Null(b.Session);
            Assert.Equal("there were more than 2 conversations, and it had been idle for longest", b.Lost);
        }

        Assert.Equal(1, store.Count); // b made room for itself by ending a
    }

    [Fact]
    public async Task OneTooManyWhileAllAreInUse_Waits()
    {
        await using var store = new SessionStore(maxSessions: 1);
        var first = await store.AcquireAsync("a", Token);
        var second = store.AcquireAsync("b", Token).AsTask();
        await Task.Delay(50, Token);
        Assert.False(second.IsCompleted);
        await first.DisposeAsync();
        await (await second).DisposeAsync();
    }

    [Fact]
    public async Task RemovedSession_IsGone()
    {
        await using var store = new SessionStore();
        await AddAsync(store, "a");
        Assert.True(await store.RemoveAsync("a", Token));
        Assert.False(await store.RemoveAsync("a", Token));
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task Removal_WaitsForTheRequest()
    {
        await using var store = new SessionStore();
        await AddAsync(store, "a");
        var lease = await store.AcquireAsync("a", Token);
        var removal = store.RemoveAsync("a", Token).AsTask();
        Assert.False(removal.IsCompleted);
        await lease.DisposeAsync();
        Assert.True(await removal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task DisposedStore_LeavesNothingAndTakesNothing(bool sync)
    {
        var store = new SessionStore();
        await AddAsync(store, "a");
        await AddAsync(store, "b");
        var inUse = await store.AcquireAsync("b", Token);
        if (sync)
        {
            store.Dispose();
        }
        else
        {
            await store.DisposeAsync();
        }

        await inUse.DisposeAsync();
        await _sandbox.AssertNothingLeftAsync(Token);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.AcquireAsync("a", Token).AsTask());
    }

    [Fact]
    public async Task ManyThreadsOnFewConversations_NeverShareASession()
    {
        await using var store = new SessionStore(maxSessions: 3);
        var inUse = new int[5];
        await Parallel.ForEachAsync(Enumerable.Range(0, 400), new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Token }, async (number, token) =>
        {
            var id = number % inUse.Length;
            await using var lease = await store.AcquireAsync($"c{id}", token);
            Assert.Equal(1, Interlocked.Increment(ref inUse[id]));
            await Task.Yield();
            Interlocked.Decrement(ref inUse[id]);
        });
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 0)]
    [InlineData(1, -5)]
    public void ArgumentsOutOfRange_AreRefused(int maxSessions, int seconds) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new SessionStore(maxSessions, TimeSpan.FromSeconds(seconds)));

    private async Task<ConversationSession> AddAsync(SessionStore store, string id)
    {
        var settings = new ReplSettings
        {
            OutputLimit = 1_000,
            AnswerJson = false,
            CellTimeout = TimeSpan.FromMinutes(1),
            InterruptGrace = TimeSpan.FromSeconds(2),
            StartTimeout = TimeSpan.FromMinutes(1),
            Functions = [],
            Tools = [],
        };
        await using var lease = await store.AcquireAsync(id, Token);
        var repl = await ReplSession.StartAsync(_sandbox, settings, [], null, (_, _) => Task.FromResult(HostReply.Text("")), TimeProvider.System, NullLogger.Instance, Token);
        return lease.Session = new ConversationSession(id, repl);
    }
}
