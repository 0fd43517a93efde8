using System.ComponentModel;
using DeepRecall.Testing;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientPromptTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SystemPrompt_HasAllItsTokensReplaced()
    {
        var result = await new Plan(Script.Answer("1")) { Configure = options => options.MaxOutputChars = 12_345 }.RunAsync(Token);

        var system = System(result);
        Assert.DoesNotContain("{{", system, StringComparison.Ordinal);
        Assert.DoesNotContain("}}", system, StringComparison.Ordinal);
        Assert.Contains("at most 12,345 characters", system, StringComparison.Ordinal);
        Assert.Contains("You have 15 turns", system, StringComparison.Ordinal);
        Assert.Contains("Only Python's standard library can be imported", system, StringComparison.Ordinal);
        Assert.Contains("`llm_query(prompt, model=None)`", system, StringComparison.Ordinal);
        Assert.Equal(system.Trim(), system);
    }

    [Theory]
    [InlineData("Use {{functions}} and {curly} and {{{three}}} and }} and {{")]
    [InlineData("{{max_turns}}{{instructions}}{{output_limit}}")]
    [InlineData("{0} %s $1 \\n ```")]
    public async Task BracesInTheCallersInstructions_StandAsTheyAre(string instructions)
    {
        var result = await new Plan(Script.Answer("1")) { ChatOptions = new ChatOptions { Instructions = instructions } }.RunAsync(Token);

        Assert.EndsWith("## Instructions of the caller\n" + instructions, System(result), StringComparison.Ordinal);
    }

    [Fact]
    public async Task BracesInAToolsDescription_StandAsTheyAre()
    {
        var result = await new Plan(Script.Answer("1"))
        {
            ChatOptions = new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "one", "Gives {{instructions}}.")] },
        }.RunAsync(Token);

        Assert.Contains("- `one()`: Gives {{instructions}}.\n", System(result), StringComparison.Ordinal);
    }

    [Fact]
    public async Task MessagesOfATurn_AreThoseOfTheTurnBeforeAndTwoMore()
    {
        var result = await new Plan("Look.\n" + Script.Code("print(1)"), "Nothing here.", Script.Code("1/0"), Script.Answer("2"))
        {
            Messages =
            [
                new ChatMessage(ChatRole.System, "Be brief."),
                new ChatMessage(ChatRole.User, "Earlier."),
                new ChatMessage(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png"), new TextContent("What?")]),
            ],
        }.RunAsync(Token);

        Assert.Equal(4, result.Model.Requests.Count);
        for (var turn = 1; turn < result.Model.Requests.Count; turn++)
        {
            var before = Tell(result.Model.Requests[turn - 1]);
            var now = Tell(result.Model.Requests[turn]);
            Assert.Equal(before, now.Take(before.Count));
            Assert.Equal([ChatRole.Assistant, ChatRole.User], result.Model.Requests[turn].Messages.Skip(before.Count).Select(message => message.Role));
            Assert.EndsWith($"\n\nTurn {turn + 1} of 15.", result.Model.Requests[turn].LastText, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task SystemPrompt_IsTheSameForEveryRequestOfAClient()
    {
        var model = new ScriptedChatClient(Script.Answer("1"));
        using var client = Plan.Client(model);

        await client.GetResponseAsync(Script.About("one", "First?"), cancellationToken: Token);
        await client.GetResponseAsync(Script.About("another", "Second?"), cancellationToken: Token);

        Assert.Equal(model.Requests[0].Messages[0].Text, model.Requests[1].Messages[0].Text);
    }

    [Fact]
    public async Task FirstMessage_HasTheContextTheQuestionAndTheTurn()
    {
        var result = await new Plan(Script.Answer("1")) { Messages = Script.About("three", "How long is it?") }.RunAsync(Token);

        Assert.Equal(
            "- `context_0` (also `context`): str, 5 characters\n\nQuestion:\nHow long is it?\n\nTurn 1 of 15. You have not seen the input yet: look at it first, and do not answer in this turn.",
            result.Model.Requests[0].FirstText);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    [InlineData(3, true)]
    public async Task ChildRuns_AreDescribedOnlyWhereThereCanBeSome(int maxDepth, bool described)
    {
        var result = await new Plan(Script.Answer("1")) { Configure = options => options.MaxDepth = maxDepth }.RunAsync(Token);

        Assert.Equal(described, System(result).Contains("`rlm_query(", StringComparison.Ordinal));
        Assert.Equal(described, System(result).Contains("`rlm_query_batched(", StringComparison.Ordinal));
        Assert.Contains("`llm_query_batched(", System(result), StringComparison.Ordinal);
    }

    [Fact]
    public async Task SubClients_AreNamedWhenThereIsAChoice()
    {
        var one = await new Plan(Script.Answer("1")) { Configure = options => options.SubClients.Add(Sub("mini")) }.RunAsync(Token);
        var two = await new Plan(Script.Answer("1"))
        {
            Configure = options =>
            {
                options.SubClients.Add(Sub("mini"));
                options.SubClients.Add(Sub("large"));
            },
        }.RunAsync(Token);

        Assert.DoesNotContain("mini", System(one), StringComparison.Ordinal);
        Assert.Contains("`model` is one of: mini, large; mini is the default.", System(two), StringComparison.Ordinal);

        static SubClient Sub(string name) => new(name, new ScriptedChatClient("yes"));
    }

    [Fact]
    public async Task Tools_AreListedAsPythonFunctions()
    {
        var result = await new Plan(Script.Answer("1"))
        {
            ChatOptions = new ChatOptions
            {
                Tools =
                [
                    AIFunctionFactory.Create(([Description("Where.")] string city, int days = 3, bool metric = true) => 1, "get-weather", "Gets the weather of a city."),
                    AIFunctionFactory.Create((double[] values, Dictionary<string, int> more) => 1, "sum_up", string.Empty),
                ],
            },
        }.RunAsync(Token);

        Assert.Contains(
            "\nThese functions are there too. A call that fails raises an exception.\n"
            + "- `get_weather(city: str, days: int = ..., metric: bool = ...)`: Gets the weather of a city.\n"
            + "- `sum_up(values: list, more: dict)`\n",
            System(result),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task WithoutTools_ThePromptDoesNotSpeakOfThem()
    {
        var result = await new Plan(Script.Answer("1")).RunAsync(Token);

        Assert.DoesNotContain("These functions are there too", System(result), StringComparison.Ordinal);
        Assert.DoesNotContain("Instructions of the caller", System(result), StringComparison.Ordinal);
    }

    [Fact]
    public async Task EveryNameThatThePromptSpeaksOf_IsInTheRepl()
    {
        var result = await new Plan(
            Script.Code("print(all(callable(f) for f in (llm_query, llm_query_batched, rlm_query, rlm_query_batched, SHOW_VARS, FINAL)), answer)"),
            Script.Answer("1")).RunAsync(Token);

        Assert.Equal("True {'content': '', 'ready': False}\n", result.Output);
    }

    private static string System(PlanResult result) => result.Model.Requests[0].Messages[0].Text;

    private static List<string> Tell(ScriptedRequest request) =>
        [.. request.Messages.Select(message => $"{message.Role}: {string.Join('|', message.Contents.Select(content => content is TextContent text ? text.Text : content.GetType().Name))}")];
}
