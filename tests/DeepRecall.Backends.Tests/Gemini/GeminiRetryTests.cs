using DeepRecall.Backends.Gemini;
using DeepRecall.Backends.Http;
using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;

namespace DeepRecall.Backends.Tests.Gemini;

public sealed class GeminiRetryTests : BackendFixture<GeminiEmulator>
{
    private protected override string Provider => BackendNames.Gemini;

    private protected override string BasePath => "/v1beta";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ALimitOfTheMinute_IsWaitedForAsLongAsTheBodySays(bool streamed)
    {
        Emulator.FailNext(Quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "22s"));
        Emulator.FailNext(Quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "3.465784708s"));
        using var client = Client();

        var response = await AskAsync(client, streamed);

        Assert.Equal("ok", response.Text);
        Assert.Equal(3, Emulator.Requests.Count);
        Assert.Equal(2, Clock.Waits.Count);
        Assert.InRange(Clock.Waits[0], TimeSpan.FromSeconds(22), TimeSpan.FromSeconds(23));
        Assert.InRange(Clock.Waits[1], TimeSpan.FromSeconds(3.465), TimeSpan.FromSeconds(4.5));
    }

    [Fact]
    public async Task ALimitOfTheMinuteThatStays_IsARateLimitAndTellsTheWait()
    {
        Emulator.FailNext(Quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "22s"));
        using var client = Client(options => options.MaxRetries = 0);

        var error = await Assert.ThrowsAsync<GeminiException>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.RateLimit, error.GetBackendErrorKind());
        Assert.Equal(TimeSpan.FromSeconds(22), error.RetryDelay);
        Assert.Contains("You exceeded your current quota", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ALimitOfTheDay_IsAQuotaAndNotTriedAgainThoughTheBodyTellsADelay()
    {
        Emulator.FailNext(Quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "22s"));
        using var client = Client();

        var error = await Assert.ThrowsAsync<GeminiException>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.Quota, error.GetBackendErrorKind());
        Assert.Null(error.RetryDelay);
        Assert.Single(Emulator.Requests);
        Assert.Empty(Clock.Waits);
    }

    [Fact]
    public async Task AWaitThatIsLongerThanTheTimeout_IsNotWaitedFor()
    {
        Emulator.FailNext(Quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "3600s"));
        using var client = Client();

        var error = await Assert.ThrowsAsync<GeminiException>(() => AskAsync(client, streamed: false));

        Assert.Equal(TimeSpan.FromHours(1), error.RetryDelay);
        Assert.Single(Emulator.Requests);
    }

    [Fact]
    public async Task AHeader_WinsOverTheBody()
    {
        Emulator.FailNext(Quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "22s") with { RetryAfter = "40" });
        using var client = Client();

        await AskAsync(client, streamed: false);

        Assert.InRange(Assert.Single(Clock.Waits), TimeSpan.FromSeconds(40), TimeSpan.FromSeconds(41));
    }

    [Theory]
    [InlineData("""{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0s"}]}}""", 0.0)]
    [InlineData("""{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.Help"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]}}""", 1.5)]
    [InlineData("""{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"soon"}]}}""", null)]
    [InlineData("""{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"-5s"}]}}""", null)]
    [InlineData("""{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":7}]}}""", null)]
    [InlineData("""{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo"}]}}""", null)]
    [InlineData("""{"error":{"details":"google.rpc.RetryInfo"}}""", null)]
    [InlineData("""{"error":"google.rpc.RetryInfo"}""", null)]
    [InlineData("google.rpc.RetryInfo is no JSON", null)]
    [InlineData("""["google.rpc.RetryInfo"]""", null)]
    [InlineData("", null)]
    public void AWait_IsFoundOnlyInTheFormThatGoogleDocuments(string body, double? seconds) =>
        Assert.Equal(seconds is { } wait ? TimeSpan.FromSeconds(wait) : null, GoogleRetryInfo.Find(body));

    private static Fault Quota(string id, string delay) => new(FaultKind.Status)
    {
        Status = 429,
        Body = $$"""
            {
              "error": {
                "code": 429,
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                  { "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{ "quotaMetric": "generate_content_free_tier_requests", "quotaId": "{{id}}", "quotaValue": "10" }] },
                  { "@type": "type.googleapis.com/google.rpc.Help", "links": [] },
                  { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "{{delay}}" }
                ]
              }
            }
            """,
    };
}
