using System.Text.Json;
using Azure;
using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.AzureInference;

public sealed class AzureInferenceBackendTests : BackendFixture<AzureInferenceEmulator>
{
    private const string Hello = """{"role":"user","content":"Hello"}""";

    private protected override string Provider => BackendNames.AzureInference;

    private protected override string BasePath => "/models";

    [Fact]
    public async Task TheKey_IsInItsHeader()
    {
        using var client = Client();

        await AskAsync(client, streamed: false);

        Assert.Equal(Key, Assert.Single(Emulator.Requests).Headers["api-key"]);
    }

    [Theory]
    [InlineData("/models", "/models/chat/completions")]
    [InlineData("/models/", "/models/chat/completions")]
    [InlineData("", "/chat/completions")]
    public async Task TheAddress_IsTheEndpointAndThePathOfTheApi(string basePath, string path)
    {
        using var client = Client(options => options.BaseUrl = Emulator.Url + basePath);

        await AskAsync(client, streamed: false);

        var request = Assert.Single(Emulator.Requests);
        Assert.Equal((path, "?api-version=2024-05-01-preview"), (request.Path, request.Query));
    }

    [Fact]
    public async Task Options_AreSentUnderAzuresNames()
    {
        using var client = Client();

        await AskAsync(
            client,
            streamed: false,
            [new(ChatRole.System, "Be kind."), new(ChatRole.User, "Hello"), new(ChatRole.Assistant, "Hi"), new(ChatRole.User, "And?")],
            new ChatOptions
            {
                Instructions = "Be honest.",
                ModelId = "other-model",
                Temperature = 0.5f,
                TopP = 0.25f,
                MaxOutputTokens = 100,
                Seed = 7,
                StopSequences = ["END"],
                FrequencyPenalty = 0.125f,
                PresencePenalty = -0.5f,
            });

        WireJson.AssertBody(
            """
            {"model":"other-model","temperature":0.5,"top_p":0.25,"max_tokens":100,"seed":7,"stop":["END"],"frequency_penalty":0.125,"presence_penalty":-0.5,
             "messages":[{"role":"system","content":"Be honest."},{"role":"system","content":"Be kind."},{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi"},{"role":"user","content":"And?"}]}
            """,
            Assert.Single(Emulator.Requests));
    }

    [Fact]
    public async Task Images_AreAddressesOfDataOrOfTheWeb()
    {
        using var client = Client();

        await AskAsync(client, streamed: false, [new ChatMessage(ChatRole.User, [
            new TextContent("What is this?"),
            new DataContent(new byte[] { 1, 2, 3 }, "image/png"),
            new UriContent("https://example.test/cat.jpg", "image/jpeg"),
        ])]);

        WireJson.AssertBody(
            """
            {"model":"big-model","messages":[{"role":"user","content":[
              {"type":"text","text":"What is this?"},
              {"type":"image_url","image_url":{"url":"data:image/png;base64,AQID"}},
              {"type":"image_url","image_url":{"url":"https://example.test/cat.jpg"}}]}]}
            """,
            Assert.Single(Emulator.Requests));
    }

    [Fact]
    public async Task JsonWithoutASchema_IsAJsonObject()
    {
        using var client = Client();

        await AskAsync(client, streamed: false, options: new ChatOptions { ResponseFormat = ChatResponseFormat.Json });

        WireJson.AssertBody($$$"""{"model":"big-model","messages":[{{{Hello}}}],"response_format":{"type":"json_object"}}""", Assert.Single(Emulator.Requests));
    }

    [Fact]
    public async Task JsonWithASchema_SendsTheSchema()
    {
        const string Schema = """{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}""";
        using var client = Client();

        await AskAsync(client, streamed: false, options: new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse(Schema), "place", "A place.") });

        WireJson.AssertBody(
            $$$$"""{"model":"big-model","messages":[{{{{Hello}}}}],"response_format":{"type":"json_schema","json_schema":{"name":"place","description":"A place.","strict":true,"schema":{{{{Schema}}}}}}}""",
            Assert.Single(Emulator.Requests));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tools_AreRefusedBeforeAnythingIsSent(bool streamed)
    {
        using var client = Client();
        var options = new ChatOptions { Tools = [AIFunctionFactory.CreateDeclaration("weather", "Tells the weather.", JsonElement.Parse("{}"))] };

        var error = await Assert.ThrowsAsync<NotSupportedException>(() => AskAsync(client, streamed, options: options));

        Assert.Contains("use azure_openai", error.Message, StringComparison.Ordinal);
        Assert.Empty(Emulator.Requests);
    }

    [Theory]
    [InlineData("stop", "stop")]
    [InlineData("length", "length")]
    [InlineData("content_filter", "content_filter")]
    [InlineData("tool_calls", "tool_calls")]
    [InlineData("novelty", "novelty")]
    public async Task EveryFinishReason_IsToldStreamedAndUnstreamed(string reason, string expected)
    {
        foreach (var (streamed, field) in new[] { (false, "message"), (true, "delta") })
        {
            Emulator.Raw = _ => [$$$"""{"id":"c","created":1795341600,"model":"m","choices":[{"index":0,"{{{field}}}":{"role":"assistant","content":"some"},"finish_reason":"{{{reason}}}"}],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}}"""];
            using var client = Client();

            var response = await AskAsync(client, streamed);

            Assert.Equal(("some", expected), (response.Text, response.FinishReason?.Value));
            Assert.Equal((11, 3, 14), (response.Usage?.InputTokenCount, response.Usage?.OutputTokenCount, response.Usage?.TotalTokenCount));
        }
    }

    [Fact]
    public async Task UsageInAnEventOfItsOwn_IsCounted()
    {
        Emulator.Raw = _ =>
        [
            """{"id":"c","created":1795341600,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"some"},"finish_reason":"stop"}]}""",
            """{"id":"c","created":1795341600,"model":"m","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}}""",
        ];
        using var client = Client();

        var response = await AskAsync(client, streamed: true);

        Assert.Equal("some", response.Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.Equal(14, response.Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task APromptThatIsFiltered_IsAContentFilter()
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 400, Body = """{"error":{"code":"content_filter","message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","innererror":{"code":"ResponsibleAIPolicyViolation"}}}""" });
        using var client = Client();

        var error = await Assert.ThrowsAsync<RequestFailedException>(() => AskAsync(client, streamed: false));

        Assert.Equal(BackendErrorKind.ContentFilter, error.GetBackendErrorKind());
        Assert.Contains("content management policy", error.Message, StringComparison.Ordinal);
    }
}
