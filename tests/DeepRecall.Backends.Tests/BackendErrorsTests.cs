using System.ClientModel;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests;

/// <summary>Which kind of error is told, with the provider's own exception and message.</summary>
public sealed class BackendErrorsTests : OpenAIEmulatorTest
{
    private static readonly Dictionary<string, ErrorCase> Cases = new()
    {
        ["OpenAI: wrong key"] = new(401, """{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}""", BackendErrorKind.Authentication, "Incorrect API key provided."),
        ["OpenAI: no access"] = new(403, """{"error":{"message":"Project does not have access to model.","type":"invalid_request_error","param":null,"code":"model_not_found"}}""", BackendErrorKind.Authentication, "Project does not have access to model."),
        ["OpenAI: no model"] = new(404, """{"error":{"message":"The model 'x' does not exist.","type":"invalid_request_error","param":null,"code":"model_not_found"}}""", BackendErrorKind.NotFound, "The model 'x' does not exist."),
        ["OpenAI: quota"] = new(429, """{"error":{"message":"You exceeded your current quota, please check your plan.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}""", BackendErrorKind.Quota, "You exceeded your current quota"),
        ["OpenAI: account not active"] = new(429, """{"error":{"message":"Your account is not active.","type":"billing_not_active","param":null,"code":"billing_not_active"}}""", BackendErrorKind.Quota, "Your account is not active."),
        ["OpenAI: rate limit"] = new(429, """{"error":{"message":"Rate limit reached for requests.","type":"requests","param":null,"code":"rate_limit_exceeded"}}""", BackendErrorKind.RateLimit, "Rate limit reached for requests."),
        ["OpenAI: context length"] = new(400, """{"error":{"message":"Your input exceeds the limit.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}""", BackendErrorKind.ContextLength, "Your input exceeds the limit."),
        ["OpenAI: other"] = new(400, """{"error":{"message":"Unsupported value.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}""", BackendErrorKind.BadRequest, "Unsupported value."),
        ["OpenAI: server"] = new(500, """{"error":{"message":"The server had an error.","type":"server_error","param":null,"code":null}}""", BackendErrorKind.Server, "The server had an error."),
        ["OpenAI: 408"] = new(408, """{"error":{"message":"Timed out.","type":"server_error","param":null,"code":null}}""", BackendErrorKind.Server, "Timed out."),
        ["Azure: content filter"] = new(400, """{"error":{"message":"The response was filtered.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}""", BackendErrorKind.ContentFilter, "The response was filtered."),
        ["Azure: no deployment"] = new(404, """{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}""", BackendErrorKind.NotFound, "The API deployment for this resource does not exist."),
        ["OpenRouter: no credit"] = new(402, """{"error":{"message":"Insufficient credits.","code":402}}""", BackendErrorKind.Quota, "Insufficient credits."),
        ["vLLM: context length"] = new(400, """{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}""", BackendErrorKind.ContextLength, Message: null),
        ["vLLM: no model"] = new(404, """{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}""", BackendErrorKind.NotFound, Message: null),
        ["LiteLLM: context length"] = new(400, """{"error":{"message":"litellm.ContextWindowExceededError: This model's maximum context length is 4096 tokens.","type":"invalid_request_error","param":null,"code":"400"}}""", BackendErrorKind.ContextLength, "maximum context length"),
        ["a proxy's page"] = new(502, "<html>Bad Gateway</html>", BackendErrorKind.Server, Message: null),
        ["no body"] = new(404, string.Empty, BackendErrorKind.NotFound, Message: null),
    };

    public static TheoryData<string, bool> Errors => BothForms.Of(Cases.Keys);

    [Theory]
    [MemberData(nameof(Errors))]
    public async Task ErrorOfTheProvider_KeepsItsTypeAndMessage_AndTellsItsKind(string name, bool streamed)
    {
        var (status, body, kind, message) = Cases[name];
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = status, Body = body });
        var options = OptionsOf();
        options.MaxRetries = 0;
        using var client = Backend.CreateChatClient(options);

        var error = await Assert.ThrowsAsync<ClientResultException>(() => AskAsync(client, streamed));

        Assert.Equal(status, error.Status);
        Assert.Equal(kind, error.GetBackendErrorKind());
        Assert.Contains(message ?? string.Empty, error.Message, StringComparison.Ordinal);
        Assert.Equal(body, error.GetRawResponse()!.Content.ToString());
    }

    [Theory]
    [InlineData("""{"error":{"message":"Provider returned error","code":502}}""", 502, BackendErrorKind.Server)]
    [InlineData("""{"error":{"message":"Provider returned error","type":"server_error","code":null}}""", 500, BackendErrorKind.Server)]
    [InlineData("""{"error":{"message":"This model's maximum context length is 4096 tokens.","code":"400"}}""", 400, BackendErrorKind.ContextLength)]
    [InlineData("""{"error":{"message":"Wrong key sk-test-0123456789","code":401}}""", 401, BackendErrorKind.Authentication)]
    public async Task ErrorInTheMiddleOfAStream_IsNotTheEndOfAReply(string body, int status, BackendErrorKind kind)
    {
        Emulator.Reply = _ => "a reply of several pieces";
        Emulator.FailNext(new Fault(FaultKind.ErrorInStream) { Body = body });
        using var client = Backend.CreateChatClient(OptionsOf());

        var error = await Assert.ThrowsAnyAsync<ClientResultException>(() => AskAsync(client, streamed: true));

        Assert.Equal(status, error.Status);
        Assert.Equal(kind, error.GetBackendErrorKind());
        Assert.Contains(body.Replace(Key, "***", StringComparison.Ordinal)[9..^1], error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Key, error.ToString(), StringComparison.Ordinal);
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ErrorWithStatus200_IsAnErrorOfItsCode_AndTriedAgainIfThatIs(bool streamed)
    {
        var gateway = new Fault(FaultKind.Status) { Status = 200, Body = """{"error":{"message":"Provider returned error","code":502}}""" };
        Emulator.FailNext(gateway);
        using var client = Backend.CreateChatClient(OptionsOf(BackendNames.OpenRouter));
        Assert.Equal("ok", (await AskAsync(client, streamed)).Text);
        Assert.Equal(2, Emulator.Requests.Count);

        Emulator.FailNext(gateway with { Body = """{"error":{"message":"Insufficient credits for sk-test-0123456789","code":402}}""" });
        var error = await Assert.ThrowsAsync<ClientResultException>(() => AskAsync(client, streamed));

        Assert.Equal(402, error.Status);
        Assert.Equal(BackendErrorKind.Quota, error.GetBackendErrorKind());
        Assert.Contains("Insufficient credits for ***", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReplyThatSpeaksOfErrors_IsAReply()
    {
        const string Reply = """{"error": {"code": 502}}""";
        Emulator.Reply = _ => Reply;
        using var client = Backend.CreateChatClient(OptionsOf());

        Assert.Equal(Reply, (await AskAsync(client, streamed: false)).Text);
        Assert.Equal(Reply, (await AskAsync(client, streamed: true)).Text);
    }

    [Fact]
    public async Task ServerThatIsNotThere_IsATransportError()
    {
        var options = OptionsOf();
        options.MaxRetries = 0;
        await Emulator.DisposeAsync();
        using var client = Backend.CreateChatClient(options);

        var error = await Assert.ThrowsAsync<ClientResultException>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.Transport, error.GetBackendErrorKind());
        Assert.IsType<HttpRequestException>(error.InnerException);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task BodyThatIsNotJson_IsAnError(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Malformed));
        using var client = Backend.CreateChatClient(OptionsOf());

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed));

        Assert.IsNotType<OperationCanceledException>(error, exactMatch: false);
        Assert.Equal(BackendErrorKind.Other, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ReplyWithoutText_IsAnEmptyResponse(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Empty));
        using var client = Backend.CreateChatClient(OptionsOf());

        var response = await AskAsync(client, streamed);

        Assert.Empty(response.Text);
        Assert.Equal(15, response.Usage?.TotalTokenCount);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
    }

    [Theory]
    [InlineData("length", false)]
    [InlineData("length", true)]
    [InlineData("content_filter", false)]
    [InlineData("content_filter", true)]
    public async Task FinishReasonAndModel_AreTheProviders(string reason, bool streamed)
    {
        Emulator.Answer = _ => new OpenAIAnswer { FinishReason = reason };
        using var client = Backend.CreateChatClient(OptionsOf());

        var response = await AskAsync(client, streamed);

        Assert.Equal(new ChatFinishReason(reason), response.FinishReason);
        Assert.Equal("model-a", response.ModelId);
        Assert.Equal("ok", response.Text);
    }

    [Fact]
    public void ExceptionFromElsewhere_HasNoKind() => Assert.Null(new InvalidOperationException().GetBackendErrorKind());

    private sealed record ErrorCase(int Status, string Body, BackendErrorKind Kind, string? Message);
}
