using System.Net;
using System.Text.Json;
using DeepRecall.Backends.Gemini;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Gemini;

public sealed class GeminiResponseTests : GeminiFixture
{
    [Theory]
    [InlineData("STOP", "stop")]
    [InlineData("MAX_TOKENS", "length")]
    [InlineData("SAFETY", "content_filter")]
    [InlineData("RECITATION", "content_filter")]
    [InlineData("BLOCKLIST", "content_filter")]
    [InlineData("PROHIBITED_CONTENT", "content_filter")]
    [InlineData("SPII", "content_filter")]
    [InlineData("IMAGE_SAFETY", "content_filter")]
    [InlineData("IMAGE_PROHIBITED_CONTENT", "content_filter")]
    [InlineData("IMAGE_RECITATION", "content_filter")]
    [InlineData("MALFORMED_FUNCTION_CALL", "malformed_function_call")]
    [InlineData("OTHER", "other")]
    [InlineData("FINISH_REASON_UNSPECIFIED", null)]
    public async Task EveryFinishReason_IsToldStreamedAndUnstreamed(string reason, string? expected)
    {
        foreach (var streamed in new[] { false, true })
        {
            var response = await ReceiveAsync(streamed, Event("""[{"text":"some"}]""", $",\"finishReason\":\"{reason}\""));

            Assert.Equal(expected, response.FinishReason?.Value);
            Assert.Equal("some", response.Text);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ABlockedPrompt_IsAContentFilterWithTheReason(bool streamed)
    {
        var response = await ReceiveAsync(streamed, """{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT","safetyRatings":[]},"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"responseId":"r"}""");

        Assert.Equal(ChatFinishReason.ContentFilter, response.FinishReason);
        var error = Assert.Single(response.Messages.SelectMany(message => message.Contents).OfType<ErrorContent>());
        Assert.Equal(("PROHIBITED_CONTENT", "The prompt was blocked: PROHIBITED_CONTENT."), (error.ErrorCode, error.Message));
        Assert.Equal(string.Empty, response.Text);
        Assert.Equal((9, null, 9), (response.Usage?.InputTokenCount, response.Usage?.OutputTokenCount, response.Usage?.TotalTokenCount));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Thoughts_AreReasoningAndNotText(bool streamed)
    {
        var response = await ReceiveAsync(streamed, Event("""[{"text":"first I think","thought":true},{"text":"then I speak","thoughtSignature":"s"}]""", ",\"finishReason\":\"STOP\""));

        Assert.Equal("then I speak", response.Text);
        Assert.Equal(["first I think"], response.Messages[0].Contents.OfType<TextReasoningContent>().Select(content => content.Text));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Usage_CountsThoughtsAsOutputAndToolPromptsAsInput(bool streamed)
    {
        var response = await ReceiveAsync(
            streamed,
            """{"candidates":[{"content":{"parts":[{"text":"x"}]}}],"usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":15,"thoughtsTokenCount":5,"toolUsePromptTokenCount":3,"cachedContentTokenCount":40,"totalTokenCount":123}}""");

        var usage = response.Usage;
        Assert.Equal(
            (103, 20, 123, 40, 5),
            (usage?.InputTokenCount, usage?.OutputTokenCount, usage?.TotalTokenCount, usage?.CachedInputTokenCount, usage?.ReasoningTokenCount));
    }

    [Fact]
    public async Task OfTheUsageInAStream_TheLastCounts()
    {
        var response = await ReceiveAsync(
            streamed: true,
            """{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":1,"totalTokenCount":101}}""",
            """{"candidates":[{"content":{"parts":[{"text":"b"}]}}],"usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":2,"thoughtsTokenCount":4,"totalTokenCount":106}}""",
            """{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}""");

        Assert.Equal("ab", response.Text);
        Assert.Equal((100, 6, 106), (response.Usage?.InputTokenCount, response.Usage?.OutputTokenCount, response.Usage?.TotalTokenCount));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnImage_IsData(bool streamed)
    {
        var response = await ReceiveAsync(streamed, Event("""[{"text":"Here:"},{"inlineData":{"mimeType":"image/png","data":"AQID"}}]""", ",\"finishReason\":\"STOP\""));

        var image = Assert.Single(response.Messages[0].Contents.OfType<DataContent>());
        Assert.Equal("image/png", image.MediaType);
        Assert.Equal([1, 2, 3], image.Data.ToArray());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AToolCall_GoesThereAndBackWithItsSignature(bool streamed)
    {
        var response = await ReceiveAsync(streamed, Event("""[{"functionCall":{"id":"c1","name":"weather","args":{"city":"Oslo"}},"thoughtSignature":"sig=="},{"functionCall":{"name":"time"}}]""", ",\"finishReason\":\"STOP\""));

        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
        var calls = response.Messages[0].Contents.OfType<FunctionCallContent>().ToArray();
        Assert.Equal(["weather", "time"], calls.Select(call => call.Name));
        Assert.Equal("Oslo", calls[0].Arguments!["city"]!.ToString());
        Assert.Empty(calls[1].Arguments!);

        // A history may be kept as JSON between the turns.
        var kept = JsonSerializer.Deserialize<ChatMessage>(JsonSerializer.Serialize(response.Messages[0], AIJsonUtilities.DefaultOptions), AIJsonUtilities.DefaultOptions)!;
        foreach (var history in new[] { response.Messages[0], kept })
        {
            Emulator.Raw = _ => null;
            var request = await SendAsync([new(ChatRole.User, "Hello"), history, new(ChatRole.Tool, [.. calls.Select(call => new FunctionResultContent(call.CallId, "fine"))])]);

            var contents = request.Json.GetProperty("contents");
            var sent = contents[1].GetProperty("parts");
            Assert.Equal("sig==", sent[0].GetProperty("thoughtSignature").GetString());
            Assert.Equal("""{"city":"Oslo"}""", sent[0].GetProperty("functionCall").GetProperty("args").GetRawText());
            Assert.False(sent[1].TryGetProperty("thoughtSignature", out _));
            var results = contents[2].GetProperty("parts");
            Assert.Equal(sent[1].GetProperty("functionCall").GetProperty("id").GetString(), results[1].GetProperty("functionResponse").GetProperty("id").GetString());
            Assert.Equal("time", results[1].GetProperty("functionResponse").GetProperty("name").GetString());
        }
    }

    [Fact]
    public async Task AToolCallAheadOfTheEndOfAStream_IsItsFinishReason()
    {
        var response = await ReceiveAsync(streamed: true, Event("""[{"functionCall":{"id":"c1","name":"weather","args":{}}}]"""), Event("""[{"text":""}]""", ",\"finishReason\":\"STOP\""));

        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task FieldsThatAreNotKnown_AreIgnored(bool streamed)
    {
        var response = await ReceiveAsync(streamed, """{"novelty":{"a":[1]},"candidates":[{"novelty":1,"content":{"novelty":2,"parts":[{"novelty":3,"executableCode":{"code":"1"}},{"text":"fine","novelty":4}]},"groundingMetadata":{}}]}""");

        Assert.Equal("fine", response.Text);
    }

    [Fact]
    public async Task AStreamOfMixedContents_IsTheWholeResponse()
    {
        const string Usage = ""","usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":4,"thoughtsTokenCount":2,"totalTokenCount":16},"modelVersion":"m-1","responseId":"r"}""";
        var whole = await ReceiveAsync(streamed: false, """{"candidates":[{"content":{"parts":[{"text":"hm so","thought":true},{"text":"Hello there"},{"inlineData":{"mimeType":"image/png","data":"AQID"}}]},"finishReason":"STOP"}]""" + Usage);
        var streamed = await ReceiveAsync(
            streamed: true,
            """{"candidates":[{"content":{"parts":[{"text":"hm ","thought":true}]}}]""" + Usage,
            """{"candidates":[{"content":{"parts":[{"text":"so","thought":true},{"text":"Hello "}]}}]""" + Usage,
            """{"candidates":[{"content":{"parts":[{"text":"there"},{"inlineData":{"mimeType":"image/png","data":"AQID"}}]},"finishReason":"STOP"}]""" + Usage);

        Assert.Equal(Tell(whole), Tell(streamed));

        static string Tell(ChatResponse response)
        {
            response.RawRepresentation = null;
            foreach (var message in response.Messages)
            {
                message.CreatedAt = null;
            }

            response.CreatedAt = null;
            return JsonSerializer.Serialize(response, AIJsonUtilities.DefaultOptions);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnErrorBody_IsAnExceptionWithStatusAndMessage(bool streamed)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 400, Body = """{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}""" });
        using var client = Client();

        var error = await Assert.ThrowsAsync<GeminiException>(() => AskAsync(client, streamed));

        Assert.Equal((HttpStatusCode.BadRequest, "INVALID_ARGUMENT"), (error.StatusCode, error.Status));
        Assert.Equal("Gemini answered 400 (INVALID_ARGUMENT): API key not valid. Please pass a valid API key.", error.Message);
        Assert.Equal(BackendErrorKind.Authentication, error.GetBackendErrorKind());
    }

    [Fact]
    public async Task APromptThatIsTooLong_IsToldAsSuch()
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 400, Message = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)." });
        using var client = Client();

        var error = await Assert.ThrowsAsync<GeminiException>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.ContextLength, error.GetBackendErrorKind());
    }

    [Fact]
    public async Task AnErrorThatIsNotGooglesForm_IsToldWithItsBody()
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 403, Body = "<html>the proxy says no</html>" });
        using var client = Client();

        var error = await Assert.ThrowsAsync<GeminiException>(() => AskAsync(client, streamed: false));

        Assert.Contains("<html>the proxy says no</html>", error.Message, StringComparison.Ordinal);
        Assert.Null(error.Status);
    }

    [Fact]
    public async Task AnErrorInAStream_EndsItAfterWhatWasSaid()
    {
        Emulator.Raw = _ => [Event("""[{"text":"so far"}]"""), """{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"""];
        using var client = Client();
        List<string> texts = [];

        var error = await Assert.ThrowsAsync<GeminiException>(async () =>
        {
            await foreach (var update in client.GetStreamingResponseAsync("Hello", cancellationToken: Token))
            {
                texts.Add(update.Text);
            }
        });

        Assert.Equal(["so far"], texts);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "UNAVAILABLE"), (error.StatusCode, error.Status));
        Assert.Contains("The model is overloaded.", error.Message, StringComparison.Ordinal);
        Assert.Equal(BackendErrorKind.Server, error.GetBackendErrorKind());
        Assert.Single(Emulator.Requests);
    }

    [Fact]
    public async Task AnEventThatIsNotJson_EndsTheStream()
    {
        Emulator.Raw = _ => [Event("""[{"text":"so far"}]"""), "{ not JSON"];
        using var client = Client();

        var error = await Assert.ThrowsAsync<GeminiException>(() => AskAsync(client, streamed: true));

        Assert.IsType<JsonException>(error.InnerException);
        Assert.Equal(BackendErrorKind.Other, error.GetBackendErrorKind());
    }

    [Fact]
    public void TheClient_TellsItsProviderAndModel()
    {
        using var client = Client();

        var metadata = client.GetService<ChatClientMetadata>();

        Assert.Equal(("gcp.gemini", Model), (metadata?.ProviderName, metadata?.DefaultModelId));
    }
}
