using System.Globalization;
using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Anthropic;

public sealed class AnthropicBackendTests : BackendFixture<AnthropicEmulator>
{
    private protected override string Provider => BackendNames.Anthropic;

    [Theory]
    [InlineData(null, false)]
    [InlineData(200, false)]
    [InlineData(200, true)]
    public async Task TheSdksOwnTimeLimit_IsOffWhateverTheLengthOfTheReply(int? maxOutputTokens, bool streamed)
    {
        using var client = Client(options => options.MaxOutputTokens = maxOutputTokens);

        await AskAsync(client, streamed);

        // Left to itself the SDK gives short replies 30 seconds; it tells its limit in this header.
        var told = Assert.Single(Emulator.Requests).Headers["X-Stainless-Timeout"];
        Assert.True(double.Parse(told, CultureInfo.InvariantCulture) > TimeSpan.FromDays(20).TotalSeconds, told);
    }

    [Fact]
    public async Task Retries_AreOursAndNotAlsoTheSdks()
    {
        for (var attempt = 0; attempt < 10; attempt++)
        {
            Emulator.FailNext(new Fault(FaultKind.Status) { Status = 529, Message = "Overloaded" });
        }

        using var client = Client(options => options.MaxRetries = 1);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.Server, error.GetBackendErrorKind());
        Assert.Equal(2, Emulator.Requests.Count);
    }

    [Fact]
    public async Task TheLimitOfTokens_HasADefaultThatTheApiDemands()
    {
        using var client = Client();

        await AskAsync(client, streamed: false);

        WireJson.AssertBody(
            """{"model":"big-model","max_tokens":8192,"messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}]}""",
            Assert.Single(Emulator.Requests));
    }

    [Theory]
    [InlineData("claude-sonnet-4-5", "enabled")]
    [InlineData("claude-haiku-4-5-20251001", "enabled")]
    [InlineData("claude-opus-4-1@20250805", "enabled")]
    [InlineData("claude-opus-4-20250514", "enabled")]
    [InlineData("claude-3-7-sonnet-latest", "enabled")]
    [InlineData("claude-opus-4-6", "adaptive")]
    [InlineData("claude-sonnet-4-6", "adaptive")]
    [InlineData("claude-opus-4-8", "adaptive")]
    [InlineData("claude-sonnet-5-5", "adaptive")]
    [InlineData("claude-fable-5-2", "adaptive")]
    public async Task ReasoningEffort_IsAskedForInTheWayThatTheModelTakes(string model, string type)
    {
        using var client = Client(options => (options.ModelName, options.ReasoningEffort) = (model, ReasoningEffort.Medium));

        await AskAsync(client, streamed: false);

        Assert.Equal(type, Assert.Single(Emulator.Requests).Json.GetProperty("thinking").GetProperty("type").GetString());
    }

    [Fact]
    public async Task InstructionsAndSystemMessages_AreTheSystemPrompt()
    {
        using var client = Client();

        await AskAsync(
            client,
            streamed: false,
            [new(ChatRole.System, "Be kind."), new(ChatRole.User, "Hello"), new(ChatRole.Assistant, "Hi"), new(ChatRole.User, "And?")],
            new ChatOptions { Instructions = "Be honest.", StopSequences = ["END"], ModelId = "other-model", MaxOutputTokens = 5 });

        WireJson.AssertBody(
            """
            {"model":"other-model","max_tokens":5,"stop_sequences":["END"],
             "system":[{"type":"text","text":"Be kind."},{"type":"text","text":"Be honest."}],
             "messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]},{"role":"assistant","content":[{"type":"text","text":"Hi"}]},{"role":"user","content":[{"type":"text","text":"And?"}]}]}
            """,
            Assert.Single(Emulator.Requests));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task UsageOfAStream_IsCountedOnceWhetherItsEndRepeatsTheInputOrNot(bool cumulative)
    {
        Emulator.UsageIsCumulative = cumulative;
        using var client = Client();

        var response = await AskAsync(client, streamed: true);

        Assert.Equal((100, 20, 120, 40), (response.Usage?.InputTokenCount, response.Usage?.OutputTokenCount, response.Usage?.TotalTokenCount, response.Usage?.CachedInputTokenCount));
    }

    [Theory]
    [InlineData("end_turn", "stop")]
    [InlineData("stop_sequence", "stop")]
    [InlineData("max_tokens", "length")]
    [InlineData("model_context_window_exceeded", "length")]
    [InlineData("refusal", "content_filter")]
    public async Task EveryStopReason_IsTold(string reason, string expected)
    {
        Emulator.Raw = _ => [$$$"""{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"some"}],"stop_reason":"{{{reason}}}","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"""];
        using var client = Client();

        var response = await AskAsync(client, streamed: false);

        Assert.Equal(expected, response.FinishReason?.Value);
    }

    [Fact]
    public async Task InputThatIsWrittenToTheCache_CountsAsInput()
    {
        Emulator.Raw = _ => ["""{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":60,"output_tokens":5}}"""];
        using var client = Client();

        var response = await AskAsync(client, streamed: false);

        Assert.Equal((100, 60, 5), (response.Usage?.InputTokenCount, response.Usage?.CachedInputTokenCount, response.Usage?.OutputTokenCount));
    }

    [Fact]
    public async Task Thinking_IsReasoningAndNotText()
    {
        Emulator.Raw = _ =>
        [
            """{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}""",
            """{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"I think"}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}""",
            """{"type":"content_block_stop","index":0}""",
            """{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}""",
            """{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I speak"}}""",
            """{"type":"content_block_stop","index":1}""",
            """{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}""",
            """{"type":"message_stop"}""",
        ];
        using var client = Client();

        var response = await AskAsync(client, streamed: true);

        Assert.Equal("I speak", response.Text);
        Assert.Equal("I think", string.Concat(response.Messages.SelectMany(message => message.Contents).OfType<TextReasoningContent>().Select(content => content.Text)));
        Assert.Equal(9, response.Usage?.OutputTokenCount);
    }

    [Fact]
    public async Task AnErrorInAStream_EndsItWithTheProvidersMessage()
    {
        Emulator.Raw = _ =>
        [
            """{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}""",
            """{"type":"error","error":{"type":"overloaded_error","message":"The servers are overloaded"}}""",
        ];
        using var client = Client();

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed: true));

        Assert.Contains("The servers are overloaded", error.ToString(), StringComparison.Ordinal);
        Assert.NotNull(error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Fact]
    public async Task APromptThatIsTooLong_IsToldAsSuch()
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 400, Message = "prompt is too long: 210000 tokens > 200000 maximum" });
        using var client = Client();

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.ContextLength, error.GetBackendErrorKind());
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/gateway")]
    [InlineData("/gateway/")]
    public async Task TheAddress_IsTheBaseAndThePathOfTheApi(string basePath)
    {
        using var client = Client(options => options.BaseUrl = Emulator.Url + basePath);

        await AskAsync(client, streamed: false);

        Assert.Equal($"{basePath.TrimEnd('/')}/v1/messages", Assert.Single(Emulator.Requests).Path);
    }
}
