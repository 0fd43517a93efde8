using System.Text.Json;
using DeepRecall.Backends.Tests.Contract;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends.Tests.Gemini;

public sealed class GeminiRequestTests : GeminiFixture
{
    private const string Hello = """[{"role":"user","parts":[{"text":"Hello"}]}]""";

    [Fact]
    public async Task AMessageAlone_IsSentAlone()
    {
        var request = await SendAsync();

        WireJson.AssertBody($$$$"""{"contents":{{{{Hello}}}},"generationConfig":{}}""", request);
    }

    [Fact]
    public async Task InstructionsAndSystemMessages_AreThePartsOfOneSystemInstruction()
    {
        var request = await SendAsync(
            [
                new(ChatRole.System, "Be kind."),
                new(ChatRole.User, "Hello"),
                new(ChatRole.System, [new TextContent("Be brief."), new TextContent("Be right.")]),
            ],
            new ChatOptions { Instructions = "Be honest." });

        WireJson.AssertBody(
            $$$$"""{"systemInstruction":{"parts":[{"text":"Be honest."},{"text":"Be kind."},{"text":"Be brief."},{"text":"Be right."}]},"contents":{{{{Hello}}}},"generationConfig":{}}""",
            request);
    }

    [Fact]
    public async Task Roles_AreUserAndModelAndEmptyMessagesAreLeftOut()
    {
        var request = await SendAsync(
            [new(ChatRole.User, "one"), new(ChatRole.Assistant, "two"), new(ChatRole.Assistant, string.Empty), new(ChatRole.User, [new TextContent("three"), new TextContent("four")])]);

        WireJson.AssertBody(
            """{"contents":[{"role":"user","parts":[{"text":"one"}]},{"role":"model","parts":[{"text":"two"}]},{"role":"user","parts":[{"text":"three"},{"text":"four"}]}],"generationConfig":{}}""",
            request);
    }

    [Fact]
    public async Task Sampling_IsSentUnderGeminisNames()
    {
        var request = await SendAsync(new ChatOptions
        {
            Temperature = 0.5f,
            TopP = 0.25f,
            TopK = 40,
            MaxOutputTokens = 100,
            StopSequences = ["END", "\n\n"],
            Seed = 7,
            PresencePenalty = 0.125f,
            FrequencyPenalty = -0.5f,
        });

        WireJson.AssertBody(
            $$$$"""{"contents":{{{{Hello}}}},"generationConfig":{"temperature":0.5,"topP":0.25,"topK":40,"maxOutputTokens":100,"stopSequences":["END","\n\n"],"seed":7,"presencePenalty":0.125,"frequencyPenalty":-0.5}}""",
            request);
    }

    [Fact]
    public async Task JsonWithoutASchema_IsAMimeType()
    {
        var request = await SendAsync(new ChatOptions { ResponseFormat = ChatResponseFormat.Json });

        WireJson.AssertBody($$$$"""{"contents":{{{{Hello}}}},"generationConfig":{"responseMimeType":"application/json"}}""", request);
    }

    [Fact]
    public async Task JsonWithASchema_SendsTheSchema()
    {
        const string Schema = """{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}""";

        var request = await SendAsync(new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonElement.Parse(Schema), "answer") });

        WireJson.AssertBody($$$$"""{"contents":{{{{Hello}}}},"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{{{{Schema}}}}}}""", request);
    }

    [Fact]
    public async Task TextAsTheFormat_AsksForNothing()
    {
        var request = await SendAsync(new ChatOptions { ResponseFormat = ChatResponseFormat.Text });

        WireJson.AssertBody($$$$"""{"contents":{{{{Hello}}}},"generationConfig":{}}""", request);
    }

    [Theory]
    [InlineData("gemini-2.5-flash", ReasoningEffort.None, """{"thinkingBudget":0}""")]
    [InlineData("gemini-2.5-pro", ReasoningEffort.None, """{"thinkingBudget":128}""")]
    [InlineData("gemini-2.5-pro", ReasoningEffort.Low, """{"thinkingBudget":1024}""")]
    [InlineData("gemini-2.5-flash", ReasoningEffort.Medium, """{"thinkingBudget":8192}""")]
    [InlineData("gemini-2.5-flash-lite", ReasoningEffort.High, """{"thinkingBudget":24576}""")]
    [InlineData("gemini-2.5-flash", ReasoningEffort.ExtraHigh, """{"thinkingBudget":24576}""")]
    [InlineData("gemini-3-pro-preview", ReasoningEffort.None, """{"thinkingLevel":"low"}""")]
    [InlineData("gemini-3-pro-preview", ReasoningEffort.Low, """{"thinkingLevel":"low"}""")]
    [InlineData("gemini-3.1-pro-preview", ReasoningEffort.Medium, """{"thinkingLevel":"medium"}""")]
    [InlineData("gemini-flash-latest", ReasoningEffort.High, """{"thinkingLevel":"high"}""")]
    [InlineData("gemini-3.8-flash", ReasoningEffort.ExtraHigh, """{"thinkingLevel":"high"}""")]
    public async Task ReasoningEffort_IsABudgetForTheSecondGenerationAndALevelLater(string model, ReasoningEffort effort, string thinking)
    {
        var request = await SendAsync(configure: options => (options.ModelName, options.ReasoningEffort) = (model, effort));

        WireJson.AssertBody($$$$"""{"contents":{{{{Hello}}}},"generationConfig":{"thinkingConfig":{{{{thinking}}}}}}""", request);
    }

    [Theory]
    [InlineData(ReasoningOutput.Full, "true")]
    [InlineData(ReasoningOutput.Summary, "true")]
    [InlineData(ReasoningOutput.None, "false")]
    public async Task ReasoningOutput_SaysWhetherThoughtsAreTold(ReasoningOutput output, string include)
    {
        var request = await SendAsync(new ChatOptions { Reasoning = new ReasoningOptions { Output = output } });

        WireJson.AssertBody($$$$"""{"contents":{{{{Hello}}}},"generationConfig":{"thinkingConfig":{"includeThoughts":{{{{include}}}}}}}""", request);
    }

    [Fact]
    public async Task TheModelOfTheChatOptions_WinsAndDecidesOnTheThinking()
    {
        var request = await SendAsync(
            new ChatOptions { ModelId = "gemini-2.5-flash", Reasoning = new ReasoningOptions { Effort = ReasoningEffort.Low } },
            options => options.ModelName = "gemini-3-pro");

        Assert.Equal("/v1beta/models/gemini-2.5-flash:generateContent", request.Path);
        Assert.Equal(1024, request.Json.GetProperty("generationConfig").GetProperty("thinkingConfig").GetProperty("thinkingBudget").GetInt32());
    }

    [Theory]
    [InlineData("big-model", "/v1beta", "/v1beta/models/big-model:generateContent")]
    [InlineData("big-model", "/v1beta/", "/v1beta/models/big-model:generateContent")]
    [InlineData("models/big-model", "/v1beta", "/v1beta/models/big-model:generateContent")]
    [InlineData("tunedModels/mine", "/proxy/v1/", "/proxy/v1/tunedModels/mine:generateContent")]
    public async Task TheAddress_IsTheBaseAndTheModelsName(string model, string basePath, string path)
    {
        var request = await SendAsync(configure: options => (options.ModelName, options.BaseUrl) = (model, Emulator.Url + basePath));

        Assert.Equal((path, string.Empty), (request.Path, request.Query));
    }

    [Fact]
    public async Task Images_AreInlineDataOrFiles()
    {
        var request = await SendAsync([new ChatMessage(ChatRole.User, [
            new TextContent("What is this?"),
            new DataContent(new byte[] { 1, 2, 3 }, "image/png"),
            new UriContent("https://example.test/cat.jpg?size=1", "image/jpeg"),
        ])]);

        WireJson.AssertBody(
            """{"contents":[{"role":"user","parts":[{"text":"What is this?"},{"inlineData":{"mimeType":"image/png","data":"AQID"}},{"fileData":{"mimeType":"image/jpeg","fileUri":"https://example.test/cat.jpg?size=1"}}]}],"generationConfig":{}}""",
            request);
    }

    [Fact]
    public async Task Thoughts_AreNotSentBack()
    {
        var request = await SendAsync([
            new(ChatRole.User, "Hello"),
            new(ChatRole.Assistant, [new TextReasoningContent("hm, what may they want"), new TextContent("Hi")]),
            new(ChatRole.Assistant, [new TextReasoningContent("only a thought")]),
            new(ChatRole.User, "And?"),
        ]);

        WireJson.AssertBody(
            """{"contents":[{"role":"user","parts":[{"text":"Hello"}]},{"role":"model","parts":[{"text":"Hi"}]},{"role":"user","parts":[{"text":"And?"}]}],"generationConfig":{}}""",
            request);
    }

    [Theory]
    [InlineData("auto", """{"mode":"AUTO"}""")]
    [InlineData("none", """{"mode":"NONE"}""")]
    [InlineData("any", """{"mode":"ANY"}""")]
    [InlineData("one", """{"mode":"ANY","allowedFunctionNames":["weather"]}""")]
    [InlineData("unset", null)]
    public async Task Tools_AreDeclaredWithTheModeThatIsAskedFor(string mode, string? config)
    {
        const string Schema = """{"type":"object","properties":{"city":{"type":"string"}}}""";
        var tool = AIFunctionFactory.CreateDeclaration("weather", "Tells the weather.", JsonElement.Parse(Schema));

        var request = await SendAsync(new ChatOptions
        {
            Tools = [tool],
            ToolMode = mode switch
            {
                "auto" => ChatToolMode.Auto,
                "none" => ChatToolMode.None,
                "any" => ChatToolMode.RequireAny,
                "one" => ChatToolMode.RequireSpecific("weather"),
                _ => null,
            },
        });

        var tools = $$$$"""[{"functionDeclarations":[{"name":"weather","description":"Tells the weather.","parametersJsonSchema":{{{{Schema}}}}}]}]""";
        var toolConfig = config is null ? string.Empty : $$""","toolConfig":{"functionCallingConfig":{{config}}}""";
        WireJson.AssertBody($$$$"""{"contents":{{{{Hello}}}},"generationConfig":{},"tools":{{{{tools}}}}{{{{toolConfig}}}}}""", request);
    }

    [Fact]
    public async Task ToolCallsAndResults_AreSentWithNamesIdsAndSignatures()
    {
        var request = await SendAsync([
            new(ChatRole.User, "Hello"),
            new(ChatRole.Assistant, [
                new FunctionCallContent("c1", "weather", new Dictionary<string, object?> { ["city"] = "Oslo", ["days"] = 2 }) { AdditionalProperties = new() { ["thoughtSignature"] = "sig==" } },
                new FunctionCallContent("c2", "time"),
                new FunctionCallContent("c3", "fail"),
            ]),
            new(ChatRole.Tool, [
                new FunctionResultContent("c1", new { sky = "blue" }),
                new FunctionResultContent("c2", "noon"),
                new FunctionResultContent("c3", null) { Exception = new InvalidOperationException("broken") },
            ]),
        ]);

        WireJson.AssertBody(
            """
            {"generationConfig":{},"contents":[
              {"role":"user","parts":[{"text":"Hello"}]},
              {"role":"model","parts":[
                {"functionCall":{"id":"c1","name":"weather","args":{"city":"Oslo","days":2}},"thoughtSignature":"sig=="},
                {"functionCall":{"id":"c2","name":"time","args":{}}},
                {"functionCall":{"id":"c3","name":"fail","args":{}}}]},
              {"role":"user","parts":[
                {"functionResponse":{"id":"c1","name":"weather","response":{"sky":"blue"}}},
                {"functionResponse":{"id":"c2","name":"time","response":{"result":"noon"}}},
                {"functionResponse":{"id":"c3","name":"fail","response":{"error":"broken"}}}]}]}
            """,
            request);
    }
}
