using System.Text.Json;
using DeepRecall.Budgets;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Testing;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Contract;

/// <summary>What every backend does, whichever its provider; a family only says what its requests look like.</summary>
public abstract class BackendContract<TEmulator> : BackendFixture<TEmulator>
    where TEmulator : ProviderEmulator, new()
{
    private const string SubModel = "small-model";

    /// <summary>The cached input tokens that the emulator reports with each answer, of 100 in and 20 out.</summary>
    private protected virtual int? CachedTokens => null;

    /// <summary>The reasoning tokens that the emulator reports with each answer.</summary>
    private protected virtual int? ReasoningTokens => null;

    /// <summary>Whether the provider gives its answers ids.</summary>
    private protected virtual bool HasIds => true;

    private protected abstract string PathOf(string model, bool streamed);

    private protected abstract string QueryOf(bool streamed);

    private protected abstract IReadOnlyDictionary<string, string?> ExpectedHeaders { get; }

    /// <summary>The exact body of a request with this sampling.</summary>
    private protected abstract string BodyOf(string model, IReadOnlyList<ChatMessage> messages, bool streamed, Sampling sampling);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AWholeRun_SendsExactlyWhatTheProviderExpectsAndSumsWhatItReports(bool streamed)
    {
        Emulator.Reply = Play;
        using var root = new RecordingChatClient(Client(options =>
        {
            (options.Temperature, options.TopP, options.MaxOutputTokens, options.Seed) = (0.25f, 0.5f, 1_000, 7);
            options.Pricing = new BackendPricing { InputPerMillion = 2, CachedInputPerMillion = 0.5m, OutputPerMillion = 10 };
        }));
        using var sub = new RecordingChatClient(Client(options =>
        {
            (options.Name, options.ModelName, options.MaxOutputTokens) = ("mini", SubModel, 200);
            options.Pricing = new BackendPricing { InputPerMillion = 1, OutputPerMillion = 2 };
        }));
        var plan = new DeepRecallOptions { Sandbox = new LocalSandbox() };
        plan.SubClients.Add(new SubClient("mini", sub));
        using var client = new DeepRecallChatClient(root, plan);

        var response = await AskAsync(client, streamed, [.. Script.About("the context")]);

        Assert.Equal("ALPHA BETA GAMMA", response.Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        var requests = Emulator.Requests;
        Assert.Equal(5, requests.Count);
        AssertRequests([.. requests.Where(IsRoot)], root.Calls, Model, streamed, new Sampling(0.25f, 0.5f, 1_000, 7), count: 2);

        // Sub-calls are whole responses whether the run streams or not.
        AssertRequests([.. requests.Where(request => !IsRoot(request))], sub.Calls, SubModel, streamed: false, new Sampling(null, null, 200, null), count: 3);
        Assert.Equal(
            (500, 100, 600, CachedTokens * 5, ReasoningTokens * 5),
            (response.Usage?.InputTokenCount, response.Usage?.OutputTokenCount, response.Usage?.TotalTokenCount, response.Usage?.CachedInputTokenCount, response.Usage?.ReasoningTokenCount));
        var cached = CachedTokens ?? 0;
        var rootCost = (((100 - cached) * 2m) + (cached * 0.5m) + (20 * 10m)) / 1_000_000;
        var subCost = ((100 * 1m) + (20 * 2m)) / 1_000_000;
        Assert.Equal((2 * rootCost) + (3 * subCost), response.Usage?.GetCostUsd());
        Assert.Empty(Clock.Waits);
    }

    [Theory]
    [InlineData(401, BackendErrorKind.Authentication, false)]
    [InlineData(401, BackendErrorKind.Authentication, true)]
    [InlineData(403, BackendErrorKind.Authentication, false)]
    [InlineData(404, BackendErrorKind.NotFound, false)]
    [InlineData(404, BackendErrorKind.NotFound, true)]
    [InlineData(400, BackendErrorKind.BadRequest, false)]
    [InlineData(400, BackendErrorKind.BadRequest, true)]
    public async Task ARefusal_IsToldWithTheProvidersMessageAndNotTriedAgain(int status, BackendErrorKind kind, bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = status, Message = $"the provider says no to {Key}" });
        using var client = Client();

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed));

        Assert.Equal(kind, error.GetBackendErrorKind());
        Assert.Contains("the provider says no to ***", error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Key, error.ToString(), StringComparison.Ordinal);
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TooManyRequests_AreTriedAgainAfterTheWaitThatTheProviderAsksFor(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 429, RetryAfter = "7" });
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 429, RetryAfter = "9" });
        using var client = Client();

        var response = await AskAsync(client, streamed);

        Assert.Equal("ok", response.Text);
        Assert.Equal(3, Emulator.Requests.Count);
        Assert.Single(Emulator.Requests.Select(request => request.Body).Distinct());
        Assert.Equal(2, Clock.Waits.Count);
        Assert.InRange(Clock.Waits[0], TimeSpan.FromSeconds(7), TimeSpan.FromSeconds(8));
        Assert.InRange(Clock.Waits[1], TimeSpan.FromSeconds(9), TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData(429, BackendErrorKind.RateLimit, false)]
    [InlineData(429, BackendErrorKind.RateLimit, true)]
    [InlineData(500, BackendErrorKind.Server, false)]
    [InlineData(500, BackendErrorKind.Server, true)]
    [InlineData(503, BackendErrorKind.Server, false)]
    public async Task ATransientFailure_IsTriedAgainAsOftenAsAllowedAndThenTold(int status, BackendErrorKind kind, bool streamed)
    {
        for (var attempt = 0; attempt < 5; attempt++)
        {
            Emulator.FailNext(new Fault(FaultKind.Status) { Status = status, Message = "not now" });
        }

        using var client = Client(options => options.MaxRetries = 2);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed));

        Assert.Equal(kind, error.GetBackendErrorKind());
        Assert.Contains("not now", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(3, Emulator.Requests.Count);
        Assert.Equal(2, Clock.Waits.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AFirstByteThatIsLate_IsATimeoutAndNotTriedAgain(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Slow) { Delay = TimeSpan.FromMinutes(2) });
        var options = new BackendOptions { Provider = Provider, ModelName = Model, ApiKey = Key, BaseUrl = Emulator.Url + BasePath, Timeout = TimeSpan.FromMilliseconds(400) };
        using var client = Backend.CreateChatClient(options);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed));

        Assert.IsType<TimeoutException>(error);
        Assert.Equal(BackendErrorKind.Timeout, error.GetBackendErrorKind());
        Assert.Contains("0.4 seconds", error.Message, StringComparison.Ordinal);
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AConnectionThatBreaksBeforeTheAnswer_IsTriedAgain(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.CutConnection));
        using var client = Client();

        var response = await AskAsync(client, streamed);

        Assert.Equal("ok", response.Text);
        Assert.Equal(2, Emulator.Requests.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AConnectionThatBreaksEveryTime_IsAFailureOfTransport(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.CutConnection));
        Emulator.FailNext(new Fault(FaultKind.CutConnection));
        using var client = Client(options => options.MaxRetries = 1);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed));

        Assert.Equal(BackendErrorKind.Transport, error.GetBackendErrorKind());
        Assert.Equal(2, Emulator.Requests.Count);
    }

    [Fact]
    public async Task AWholeAnswerThatBreaksInTheMiddle_IsTriedAgain()
    {
        Emulator.FailNext(new Fault(FaultKind.CutStream));
        using var client = Client();

        var response = await AskAsync(client, streamed: false);

        Assert.Equal("ok", response.Text);
        Assert.Equal(2, Emulator.Requests.Count);
    }

    [Fact]
    public async Task AStreamThatBreaksInTheMiddle_IsAFailureOfTransportAndNotTriedAgain()
    {
        Emulator.Reply = _ => "a reply of more than one piece, so that there is a middle";
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Emulator.FailNext(new Fault(FaultKind.CutStream) { When = begun.Task });
        using var client = Client();
        await using var stream = client.GetStreamingResponseAsync("Hello", cancellationToken: Token).GetAsyncEnumerator(Token);

        Assert.True(await stream.MoveNextAsync());
        begun.SetResult();
        var error = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            while (await stream.MoveNextAsync())
            {
            }
        });

        Assert.Equal(BackendErrorKind.Transport, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Fact]
    public async Task AStreamThatStallsAfterItsFirstPiece_IsATimeout()
    {
        Emulator.FailNext(new Fault(FaultKind.CutStream) { When = Task.Delay(Timeout.Infinite, Token) });
        using var client = Backend.CreateChatClient(
            new BackendOptions { Provider = Provider, ModelName = Model, ApiKey = Key, BaseUrl = Emulator.Url + BasePath, Timeout = TimeSpan.FromMilliseconds(400) });

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed: true));

        Assert.Equal(BackendErrorKind.Timeout, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnAnswerThatIsNotJson_IsAnErrorAndNotAnEmptyAnswer(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Malformed));
        using var client = Client();

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed));

        Assert.Equal(BackendErrorKind.Other, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnAnswerWithoutText_IsEmpty(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Empty));
        using var client = Client();

        var response = await AskAsync(client, streamed);

        Assert.Equal(string.Empty, response.Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.Equal(100, response.Usage?.InputTokenCount);
    }

    [Fact]
    public async Task AStreamPutTogether_IsTheWholeResponse()
    {
        Emulator.Reply = _ => "a reply that is longer than one piece of the stream, with \"quotes\" and\nlines";
        using var client = Client();

        var whole = await AskAsync(client, streamed: false);
        var streamed = await AskAsync(client, streamed: true);

        Assert.Equal(Tell(whole), Tell(streamed));

        string Tell(ChatResponse response) => JsonSerializer.Serialize(
            new
            {
                response.Text,
                ResponseId = HasIds ? response.ResponseId : null,
                response.ModelId,
                response.FinishReason,
                Messages = response.Messages.Select(message => new { message.Role, MessageId = HasIds ? message.MessageId : null, Contents = message.Contents.Where(content => content is not UsageContent).Select(content => content.ToString()) }),
                response.Usage?.InputTokenCount,
                response.Usage?.OutputTokenCount,
                response.Usage?.TotalTokenCount,
                response.Usage?.CachedInputTokenCount,
                response.Usage?.ReasoningTokenCount,
            });
    }

    [Fact]
    public async Task HeadersOfTheOptions_AreSent()
    {
        using var client = Client(options => options.Headers["x-team"] = "recall");

        await AskAsync(client, streamed: false);

        Assert.Equal("recall", Assert.Single(Emulator.Requests).Headers["x-team"]);
    }

    /// <summary>Two turns with three sub-calls between them.</summary>
    private static string Play(EmulatedRequest request)
    {
        string[] asked = ["alpha", "beta", "gamma"];
        if (!IsRoot(request))
        {
            return asked.Single(word => request.Body.Contains($"Shout {word}", StringComparison.Ordinal)).ToUpperInvariant();
        }

        return request.Body.Contains("said: ALPHA", StringComparison.Ordinal)
            ? Script.Answer("' '.join([first, *rest])")
            : Script.Code("""
                first = llm_query("Shout alpha")
                rest = llm_query_batched(["Shout beta", "Shout gamma"], model="mini")
                print("said: " + first)
                """);
    }

    private static bool IsRoot(EmulatedRequest request) => !$"{request.Path} {request.Body}".Contains(SubModel, StringComparison.Ordinal);

    private void AssertRequests(IReadOnlyList<EmulatedRequest> requests, IReadOnlyList<IReadOnlyList<ChatMessage>> calls, string model, bool streamed, Sampling sampling, int count)
    {
        Assert.Equal(count, requests.Count);
        Assert.Equal(
            calls.Select(messages => WireJson.Canonical(BodyOf(model, messages, streamed, sampling))).Order(StringComparer.Ordinal),
            requests.Select(request => WireJson.Canonical(request.Body)).Order(StringComparer.Ordinal));
        foreach (var request in requests)
        {
            Assert.Equal(("POST", PathOf(model, streamed), QueryOf(streamed)), (request.Method, request.Path, request.Query));
            Assert.StartsWith("application/json", request.Headers["Content-Type"], StringComparison.Ordinal);
            foreach (var (name, value) in ExpectedHeaders)
            {
                Assert.Equal(value, request.Headers.GetValueOrDefault(name));
            }
        }
    }
}

/// <summary>The sampling of an entry.</summary>
internal sealed record Sampling(float? Temperature, float? TopP, int? MaxOutputTokens, long? Seed);
