using System.Text.Json;
using DeepRecall.Backends.Tests.Contract;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Ollama;

public sealed class OllamaBackendTests : BackendFixture<OllamaEmulator>
{
    private protected override string Provider => BackendNames.Ollama;

    [Theory]
    [InlineData("", "/api/chat")]
    [InlineData("/", "/api/chat")]
    [InlineData("/behind/proxy", "/behind/proxy/api/chat")]
    [InlineData("/behind/proxy/", "/behind/proxy/api/chat")]
    public async Task TheAddress_KeepsItsPath(string basePath, string path)
    {
        using var client = Client(options => options.BaseUrl = Emulator.Url + basePath);

        await AskAsync(client, streamed: false);

        Assert.Equal(path, Assert.Single(Emulator.Requests).Path);
    }

    [Fact]
    public async Task WithoutAKey_NoneIsSent()
    {
        using var client = Client(options => options.ApiKey = null);

        await AskAsync(client, streamed: false);

        Assert.False(Assert.Single(Emulator.Requests).Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task Options_AreSentUnderOllamasNames()
    {
        using var client = Client();

        await AskAsync(client, streamed: false, options: new ChatOptions
        {
            ModelId = "other-model",
            Temperature = 0.5f,
            TopP = 0.25f,
            TopK = 40,
            MaxOutputTokens = 100,
            Seed = 7,
            StopSequences = ["END"],
            FrequencyPenalty = 0.125f,
            PresencePenalty = -0.5f,
        });

        WireJson.AssertBody(
            """
            {"model":"other-model","stream":false,"CustomHeaders":{},"messages":[{"role":"user","content":"Hello"}],
             "options":{"temperature":0.5,"top_p":0.25,"top_k":40,"num_predict":100,"seed":7,"stop":["END"],"frequency_penalty":0.125,"presence_penalty":-0.5}}
            """,
            Assert.Single(Emulator.Requests));
    }

    [Fact]
    public async Task Instructions_AreASystemMessage()
    {
        using var client = Client();

        await AskAsync(client, streamed: false, [new(ChatRole.System, "Be kind."), new(ChatRole.User, "Hello")], new ChatOptions { Instructions = "Be honest." });

        Assert.Equal(
            ["system: Be honest.", "system: Be kind.", "user: Hello"],
            Assert.Single(Emulator.Requests).Json.GetProperty("messages").EnumerateArray().Select(message => $"{message.GetProperty("role").GetString()}: {message.GetProperty("content").GetString()}"));
    }

    [Fact]
    public async Task AnImage_IsSentAsBase64()
    {
        using var client = Client();

        await AskAsync(client, streamed: false, [new ChatMessage(ChatRole.User, [new TextContent("What is this?"), new DataContent(new byte[] { 1, 2, 3 }, "image/png")])]);

        WireJson.AssertEqual(
            """[{"role":"user","content":"What is this?","images":["AQID"]}]""",
            Assert.Single(Emulator.Requests).Json.GetProperty("messages").GetRawText());
    }

    [Fact]
    public async Task JsonWithAndWithoutASchema_IsTheFormat()
    {
        const string Schema = """{"type":"object","properties":{"city":{"type":"string"}}}""";
        using var client = Client();

        await AskAsync(client, streamed: false, options: new ChatOptions { ResponseFormat = ChatResponseFormat.Json });
        await AskAsync(client, streamed: false, options: new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse(Schema)) });

        Assert.Equal("json", Emulator.Requests[0].Json.GetProperty("format").GetString());
        WireJson.AssertEqual(Schema, Emulator.Requests[1].Json.GetProperty("format").GetRawText());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AReplyThatWasCutOff_IsToldWithItsUsage(bool streamed)
    {
        Emulator.Raw = _ => ["""{"model":"big-model","created_at":"2026-11-22T10:00:01Z","message":{"role":"assistant","content":"half a"},"done":true,"done_reason":"length","prompt_eval_count":11,"eval_count":3}"""];
        using var client = Client();

        var response = await AskAsync(client, streamed);

        Assert.Equal("half a", response.Text);
        Assert.Equal(ChatFinishReason.Length, response.FinishReason);
        Assert.Equal((11, 3, 14), (response.Usage?.InputTokenCount, response.Usage?.OutputTokenCount, response.Usage?.TotalTokenCount));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Thinking_IsReasoningAndNotText(bool streamed)
    {
        Emulator.Raw = _ => ["""{"model":"big-model","created_at":"2026-11-22T10:00:01Z","message":{"role":"assistant","content":"I speak","thinking":"I think"},"done":true,"done_reason":"stop","prompt_eval_count":11,"eval_count":3}"""];
        using var client = Client();

        var response = await AskAsync(client, streamed);

        Assert.Equal("I speak", response.Text);
        Assert.Equal(["I think"], response.Messages[0].Contents.OfType<TextReasoningContent>().Select(content => content.Text));
    }

    [Fact]
    public async Task AnErrorInAStream_EndsItWithTheServersMessage()
    {
        Emulator.Raw = _ =>
        [
            """{"model":"big-model","created_at":"2026-11-22T10:00:01Z","message":{"role":"assistant","content":"so far"},"done":false}""",
            """{"error":"an error was encountered while running the model"}""",
        ];
        using var client = Client();

        var error = await Assert.ThrowsAnyAsync<Exception>(() => AskAsync(client, streamed: true));

        Assert.Equal("Ollama failed while it answered: an error was encountered while running the model", error.Message);
        Assert.Equal(BackendErrorKind.Server, error.GetBackendErrorKind());
    }

    [Fact]
    public async Task AReplyAboutErrors_IsNone()
    {
        const string Reply = "the field \"error\" as in {\"error\":\"x\"}";
        Emulator.Reply = _ => Reply;
        using var client = Client();

        Assert.Equal(Reply, (await AskAsync(client, streamed: true)).Text);
    }

    [Fact]
    public async Task AModelThatIsNotPulled_IsNotFoundWithTheServersMessage()
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 404, Message = "model 'big-model' not found" });
        using var client = Client();

        var error = await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(client, streamed: false));

        Assert.Equal("Ollama answered 404: model 'big-model' not found", error.Message);
        Assert.Equal(BackendErrorKind.NotFound, error.GetBackendErrorKind());
    }

    [Theory]
    [InlineData("<html>a proxy's page</html>")]
    [InlineData("""{"error":{"message":"a proxy's page"}}""")]
    public async Task AnErrorInAnotherForm_IsToldAsItIs(string body)
    {
        Emulator.FailNext(new Fault(FaultKind.Status) { Status = 403, Body = body });
        using var client = Client();

        var error = await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(client, streamed: true));

        Assert.Equal($"Ollama answered 403: {body}", error.Message);
    }
}
