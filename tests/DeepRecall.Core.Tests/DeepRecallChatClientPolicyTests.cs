using DeepRecall.Retrieval;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

/// <summary>Prompts of the caller's own, and requests too short for an RLM.</summary>
public sealed class DeepRecallChatClientPolicyTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ShortRequest_IsHandedToTheWrappedClientAsItIs(bool streamed)
    {
        var model = new ScriptedChatClient("Hello yourself.");
        using var client = Plan.Client(model, options => options.ShortPromptThreshold = 100);
        ChatMessage[] messages = [new(ChatRole.System, "Be brief."), new(ChatRole.User, "Hello")];
        var options = new ChatOptions { Temperature = 0.5f, ResponseFormat = ChatResponseFormat.Json }.WithDeepRecall(own => own.MaxIterations = 3);
        var response = streamed
            ? await client.GetStreamingResponseAsync(messages, options, Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(messages, options, Token);

        Assert.Equal("Hello yourself.", response.Text);
        Assert.Null(response.GetTrajectory());
        var request = Assert.Single(model.Requests);
        Assert.Equal(messages, request.Messages);
        Assert.Equal((0.5f, ChatResponseFormat.Json), (request.Options?.Temperature, request.Options?.ResponseFormat));
        Assert.Empty(request.Options?.AdditionalProperties ?? []);
    }

    [Theory]
    [InlineData("long")]
    [InlineData("context")]
    [InlineData("tools")]
    [InlineData("search")]
    [InlineData("off")]
    public async Task RequestWithMoreToIt_IsAnRlms(string why)
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("'rlm'")), options =>
        {
            options.ShortPromptThreshold = why == "off" ? null : 100;
            options.SearchSource = why == "search" ? new NoSource() : null;
        });
        var messages = why switch
        {
            "long" => Script.Ask(new string('x', 100)),
            "context" => Script.About("c", "Short?"),
            _ => Script.Ask("Short?"),
        };
        var response = await client.GetResponseAsync(messages, why == "tools" ? new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "f")] } : null, Token);
        Assert.NotNull(response.GetTrajectory());
    }

    [Fact]
    public async Task Instructions_StandBeforeThoseOfTheRequest()
    {
        var result = await new Plan(Script.Answer("1"))
        {
            ChatOptions = new ChatOptions { Instructions = "Of the request: {x}." },
            Configure = options => options.Instructions = "Of the client: {{tools}} stays.",
        }.RunAsync(Token);
        Assert.EndsWith("\n## Instructions of the caller\nOf the client: {{tools}} stays.\n\nOf the request: {x}.", result.Model.Requests[0].Messages[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SystemPrompt_IsFilledInAndKeepsAllOtherBraces()
    {
        var result = await new Plan(Script.Answer("1"))
        {
            ChatOptions = new ChatOptions { Instructions = "Mine." },
            Configure = options => options.SystemPrompt = "{a} {{b}} {{{max_turns}}} {{max_turns}} {{output_limit}}{{instructions}} }} {{",
        }.RunAsync(Token);
        Assert.Equal("{a} {{b}} {{{max_turns}}} 15 20,000\n## Instructions of the caller\nMine. }} {{", result.Model.Requests[0].Messages[0].Text);
    }

    [Fact]
    public async Task SystemPromptWithoutAPlaceForInstructions_DoesNotLoseThem()
    {
        var result = await new Plan(Script.Answer("{'a': 1}"))
        {
            ChatOptions = new ChatOptions { Instructions = "Mine.", ResponseFormat = ChatResponseFormat.Json },
            Configure = options => options.SystemPrompt = "Own prompt. {{functions}}",
        }.RunAsync(Token);
        var text = result.Model.Requests[0].Messages[0].Text;
        Assert.StartsWith("Own prompt. - `llm_query(prompt, model=None)`", text, StringComparison.Ordinal);
        Assert.Contains("## Instructions of the caller\nMine.\n## The answer's form\nThe answer must be JSON", text, StringComparison.Ordinal);
    }

    private sealed class NoSource : ISearchSource
    {
        public Task<IReadOnlyList<SearchResult>> SearchAsync(SearchRequest request, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<SearchResult>>([]);
    }
}
