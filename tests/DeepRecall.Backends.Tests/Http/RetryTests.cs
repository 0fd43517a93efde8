using System.Globalization;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace DeepRecall.Backends.Tests.Http;

/// <summary>What is tried again, how often and after which wait; and what is not.</summary>
public sealed class RetryTests : OpenAIEmulatorTest
{
    // Far more than any of these tests takes, on a machine of any speed.
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    public static TheoryData<int, bool> Transient => StatusTable(408, 429, 500, 502, 503, 504, 529);

    public static TheoryData<int, bool> Final => StatusTable(400, 401, 403, 404, 409, 422);

    [Theory]
    [MemberData(nameof(Transient))]
    public async Task TransientStatus_IsTriedAgain_UntilItIsOver(int status, bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = status });
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = status });
        using var client = Backend.CreateChatClient(OptionsOf());

        var response = await AskAsync(client, streamed);

        Assert.Equal("ok", response.Text);
        Assert.Equal(3, Emulator.Requests.Count);
        Assert.Single(Emulator.Requests.Select(request => request.Body).Distinct());
        Assert.All(Emulator.Requests, request => Assert.Equal($"Bearer {Key}", request.Headers["Authorization"]));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(0, true)]
    [InlineData(2, false)]
    [InlineData(2, true)]
    public async Task TransientStatusThatStays_IsTriedMaxRetriesTimesMore_AndNoMore(int maxRetries, bool streamed)
    {
        for (var i = 0; i < 20; i++)
        {
            Emulator.FailNext(new Fault(FaultKind.Status) { Status = 503 });
        }

        var options = OptionsOf();
        options.MaxRetries = maxRetries;
        using var client = Backend.CreateChatClient(options);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed));

        Assert.Equal(BackendErrorKind.Server, error.GetBackendErrorKind());
        Assert.Equal(maxRetries + 1, Emulator.Requests.Count);
    }

    [Theory]
    [MemberData(nameof(Final))]
    public async Task OtherStatus_IsNotTriedAgain(int status, bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = status });
        using var client = Backend.CreateChatClient(OptionsOf());

        await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed));

        Assert.Single(Emulator.Requests);
    }

    [Fact]
    public async Task UsedUpQuota_IsNotTriedAgain()
    {
        Emulator.FailNext(new Fault(FaultKind.Status)
        {
            Status = 429,
            Body = """{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}""",
        });
        using var client = Backend.CreateChatClient(OptionsOf());

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.Quota, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Fact]
    public async Task RateLimitThatLinksToTheBillingPage_IsTriedAgain()
    {
        Emulator.FailNext(new Fault(FaultKind.Status)
        {
            Status = 429,
            Message = "Rate limit reached for requests. Limit: 3 / min. Please try again in 20s. Visit https://platform.openai.com/account/billing to add a payment method.",
        });
        using var client = Backend.CreateChatClient(OptionsOf());

        Assert.Equal("ok", (await AskAsync(client, streamed: false)).Text);
    }

    [Theory]
    [InlineData(FaultKind.CutConnection, false)]
    [InlineData(FaultKind.CutConnection, true)]
    [InlineData(FaultKind.CutAfterHeaders, false)]
    [InlineData(FaultKind.CutAfterHeaders, true)]
    public async Task ConnectionCutBeforeTheFirstByte_IsTriedAgain(FaultKind kind, bool streamed)
    {
        Emulator.FailNext(new Fault(kind));
        using var client = Backend.CreateChatClient(OptionsOf());

        Assert.Equal("ok", (await AskAsync(client, streamed)).Text);
        Assert.Equal(2, Emulator.Requests.Count);
    }

    [Fact]
    public async Task ConnectionThatStaysCut_IsATransportError()
    {
        Emulator.FailNext(new Fault(FaultKind.CutConnection));
        Emulator.FailNext(new Fault(FaultKind.CutConnection));
        var options = OptionsOf();
        options.MaxRetries = 1;
        using var client = Backend.CreateChatClient(options);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.Transport, error.GetBackendErrorKind());
        Assert.Equal(2, Emulator.Requests.Count);
    }

    [Fact]
    public async Task StreamCutAfterItsFirstContent_FailsAndIsNotTriedAgain()
    {
        Emulator.Reply = _ => "a reply of several pieces";
        var contentCame = new TaskCompletionSource();
        Emulator.FailNext(new Fault(FaultKind.CutStream) { When = contentCame.Task });
        using var client = Backend.CreateChatClient(OptionsOf());

        var text = string.Empty;
        var error = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (var update in client.GetStreamingResponseAsync("Hi?", cancellationToken: Token))
            {
                text += update.Text;
                if (text.Length > 0)
                {
                    contentCame.TrySetResult();
                }
            }
        });

        Assert.IsNotType<OperationCanceledException>(error, exactMatch: false);
        Assert.Equal(BackendErrorKind.Transport, error.GetBackendErrorKind());
        Assert.Equal("a reply o", text);
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData("Retry-After", "7", 7_000)]
    [InlineData("Retry-After", "Sun, 22 Nov 2026 12:00:09 GMT", 9_000)]
    [InlineData("retry-after-ms", "1500", 1_500)]
    public async Task WaitThatTheProviderAsksFor_IsNeverUndercut(string header, string value, double milliseconds)
    {
        Emulator.ResponseHeaders[header] = value;
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 429 });
        var time = new InstantTime(Soon);
        var options = OptionsOf();
        options.Timeout = Soon;
        await using var services = Services(time);
        using var client = Backend.CreateChatClient(options, services);

        await AskAsync(client, streamed: false);

        Assert.InRange(Assert.Single(time.Waits).TotalMilliseconds, milliseconds, milliseconds + 1_000);
    }

    [Fact]
    public async Task DateThatIsPast_AsksForNoWait()
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 429, RetryAfter = "Sun, 22 Nov 2026 11:00:00 GMT" });
        var time = new InstantTime(Soon);
        var options = OptionsOf();
        options.Timeout = Soon;
        await using var services = Services(time);
        using var client = Backend.CreateChatClient(options, services);

        await AskAsync(client, streamed: false);

        Assert.Equal(2, Emulator.Requests.Count);
        Assert.All(time.Waits, wait => Assert.InRange(wait.TotalSeconds, 0, 1));
    }

    [Fact]
    public async Task RetryAfterMs_IsReadAlike_WhateverTheCulture()
    {
        var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        comma.NumberFormat.NumberDecimalSeparator = ",";
        comma.NumberFormat.NumberGroupSeparator = ".";
        CultureInfo.CurrentCulture = comma; // flows with this test alone

        await WaitThatTheProviderAsksFor_IsNeverUndercut("retry-after-ms", "1500.5", 1_500);
    }

    [Theory]
    [InlineData("61")]
    [InlineData("Sun, 22 Nov 2026 12:01:01 GMT")]
    public async Task WaitLongerThanTheTimeout_IsNotWaited(string retryAfter)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 429, RetryAfter = retryAfter });
        var time = new InstantTime(Soon);
        var options = OptionsOf();
        options.Timeout = Soon;
        await using var services = Services(time);
        using var client = Backend.CreateChatClient(options, services);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.RateLimit, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
        Assert.Empty(time.Waits);
    }

    [Fact]
    public async Task BackOff_DoublesUpToACap()
    {
        for (var i = 0; i < 10; i++)
        {
            Emulator.FailNext(new Fault(FaultKind.Status) { Status = 500 });
        }

        var time = new InstantTime(Soon);
        var options = OptionsOf();
        options.Timeout = Soon;
        options.MaxRetries = 10;
        options.RetryBaseDelay = TimeSpan.FromMilliseconds(500);
        await using var services = Services(time);
        using var client = Backend.CreateChatClient(options, services);

        await AskAsync(client, streamed: false);

        // Each wait is between a half and the whole of 0.5, 1, 2, ... seconds, of 30 at most.
        Assert.Equal(10, time.Waits.Count);
        Assert.All(time.Waits, (wait, attempt) =>
        {
            var most = Math.Min(30, 0.5 * Math.Pow(2, attempt));
            Assert.InRange(wait.TotalSeconds, most / 2, most);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnswerThatComesTooLate_IsATimeout_AndNotTriedAgain(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Slow) { Delay = TimeSpan.FromMinutes(10) });
        var time = new FakeTimeProvider();
        await using var services = Services(time);
        using var client = Backend.CreateChatClient(OptionsOf(), services);

        var call = AskAsync(client, streamed);
        await RequestsAsync(1);
        time.Advance(TimeSpan.FromSeconds(301));
        var error = await Assert.ThrowsAsync<TimeoutException>(() => call.WaitAsync(Soon, Token));

        Assert.Equal("The backend 'openai' did not answer within 300 seconds (BackendOptions.Timeout).", error.Message);
        Assert.Equal(BackendErrorKind.Timeout, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Fact]
    public async Task StreamThatStopsComing_IsATimeout_AndNotTriedAgain()
    {
        Emulator.Reply = _ => "a reply of several pieces";
        Emulator.FailNext(new Fault(FaultKind.Stall) { Delay = TimeSpan.FromMinutes(10) });
        var time = new FakeTimeProvider();
        await using var services = Services(time);
        using var client = Backend.CreateChatClient(OptionsOf(), services);
        await using var stream = client.GetStreamingResponseAsync("Hi?", cancellationToken: Token).GetAsyncEnumerator(Token);
        do
        {
            Assert.True(await stream.MoveNextAsync());
        }
        while (stream.Current.Text.Length == 0);

        var next = stream.MoveNextAsync().AsTask();
        while (!next.IsCompleted)
        {
            // The limit of the next read begins only when the reader gets there.
            time.Advance(TimeSpan.FromSeconds(301));
            await Task.Delay(20, Token);
        }

        var error = await Assert.ThrowsAsync<TimeoutException>(() => next);
        Assert.Equal(BackendErrorKind.Timeout, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CancellationWhileTheProviderThinks_IsACancellation(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Slow) { Delay = TimeSpan.FromMinutes(10) });
        using var client = Backend.CreateChatClient(OptionsOf());
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(Token);

        var call = AskAsync(client, streamed, cancellationToken: cancellation.Token);
        await RequestsAsync(1);
        await cancellation.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.WaitAsync(Soon, Token));
        Assert.Null(error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CancellationWhileWaitingForARetry_IsACancellation(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 429, RetryAfter = "299" });
        using var client = Backend.CreateChatClient(OptionsOf());
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(Token);

        var call = AskAsync(client, streamed, cancellationToken: cancellation.Token);
        await RequestsAsync(1);
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.WaitAsync(Soon, Token));
        Assert.Single(Emulator.Requests);
    }

    private static TheoryData<int, bool> StatusTable(params int[] statuses)
    {
        var data = new TheoryData<int, bool>();
        foreach (var status in statuses)
        {
            data.Add(status, false);
            data.Add(status, true);
        }

        return data;
    }

    private static ServiceProvider Services(TimeProvider time) =>
        new ServiceCollection().AddHttpClient().AddSingleton(time).BuildServiceProvider();

    /// <summary>Waits until the emulator has been sent this many requests.</summary>
    private async Task RequestsAsync(int count)
    {
        while (Emulator.Requests.Count < count)
        {
            await Task.Delay(10, Token);
        }
    }
}
