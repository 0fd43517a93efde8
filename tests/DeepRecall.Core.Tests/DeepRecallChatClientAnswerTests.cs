using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientAnswerTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("answer['content'] = 'x'\nanswer['ready'] = True", "x")]
    [InlineData("answer['ready'] = True\nanswer['content'] = 'x'", "x")]
    [InlineData("answer = {'content': 'x', 'ready': True}", "x")]
    [InlineData("answer.update({'content': 'x', 'ready': 1})", "x")]
    [InlineData("FINAL('x')", "x")]
    [InlineData("value = 'x'\nFINAL_VAR('value')", "x")]
    [InlineData("value = 'x'\nFINAL_VAR(value)", "x")]
    [InlineData("FINAL(42)", "42")]
    [InlineData("FINAL([1, 'a', None])", "[1, 'a', None]")]
    [InlineData("FINAL(True)", "True")]
    [InlineData("FINAL('')", "")]
    [InlineData("answer['ready'] = True", "")]
    [InlineData("FINAL('äöü 🐍 \\u2028 \"q\" \\n end')", "äöü 🐍 \u2028 \"q\" \n end")]
    [InlineData("FINAL('  spaces  \\n')", "  spaces  \n")]
    public async Task AnswerSetInACell_IsTheResponse(string code, string answer)
    {
        var result = await new Plan("I know it.\n" + Script.Code(code)).RunAsync(Token);

        Assert.Equal(answer, result.Text);
        Assert.Equal(answer, result.Trajectory.Answer);
        Assert.Equal(ChatFinishReason.Stop, result.Response.FinishReason);
        Assert.Equal(StopReason.Answered, result.Trajectory.StopReason);
        Assert.Null(result.Trajectory.Turns[^1].Feedback);
        Assert.Equal(ChatRole.Assistant, result.Response.Messages[^1].Role);
        Assert.Equal(answer, result.Response.Messages[^1].Text);
    }

    [Theory]
    [InlineData("answer['content'] = 'x'")]
    [InlineData("answer = {'content': 'x'}")]
    [InlineData("answer['content'] = 'x'\nanswer['ready'] = False")]
    [InlineData("answer = 'x'")]
    public async Task AnswerThatIsNotReady_DoesNotEndTheRun(string code)
    {
        var result = await new Plan(Script.Code(code), Script.Answer("'later'")).RunAsync(Token);

        Assert.Equal("later", result.Text);
        Assert.Equal(2, result.Trajectory.Turns.Count);
    }

    [Fact]
    public async Task AnswerDict_IsFreshInEveryRequest()
    {
        var model = new ScriptedChatClient(Script.Code("print(answer, 'x' in globals())\nx = 1\nanswer['content'] = 'mine'"), Script.Answer("'x'"));
        using var client = Plan.Client(model);

        for (var request = 0; request < 2; request++)
        {
            var response = await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);
            Assert.Equal("{'content': '', 'ready': False} False\n", response.GetTrajectory()!.Turns[0].Cells[0].Output);
        }
    }

    [Theory]
    [InlineData("FINAL(the answer)", "the answer")]
    [InlineData("So:\n\nFINAL(\"quoted (with brackets)\")\n", "quoted (with brackets)")]
    [InlineData("FINAL(line one\nline two)", "line one\nline two")]
    [InlineData("Text first.\n  FINAL(42)", "42")]
    public async Task FinalAsText_IsTheAnswer(string reply, string answer)
    {
        var result = await new Plan(reply).RunAsync(Token);

        Assert.Equal(answer, result.Text);
        Assert.Equal(StopReason.Answered, result.Trajectory.StopReason);
        Assert.Empty(result.Cells);
    }

    [Fact]
    public async Task FinalVarAsText_IsTheVariablesValue()
    {
        var result = await new Plan(Script.Code("found = 6 * 7"), "FINAL_VAR(found)").RunAsync(Token);

        Assert.Equal("42", result.Text);
        Assert.Equal("FINAL_VAR(\"found\")", result.Cells[1].Code);
    }

    [Fact]
    public async Task FinalVarInTheReplyThatMakesTheVariable_IsTheAnswer()
    {
        var result = await new Plan($"{Script.Code("found = 'it'")}\nFINAL_VAR(found)").RunAsync(Token);

        Assert.Equal("it", result.Text);
    }

    [Fact]
    public async Task FinalVarOfAnUnknownVariable_IsToldAndTheLoopGoesOn()
    {
        var result = await new Plan("FINAL_VAR(missing)", Script.Answer("'found'")).RunAsync(Token);

        Assert.Equal("found", result.Text);
        Assert.Equal(CellStatus.Error, result.Cells[0].Status);
        Assert.Contains("there is no variable 'missing'", result.Model.Requests[1].LastText, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FINAL(early)")]
    [InlineData("FINAL_VAR(x)")]
    public async Task FinalAsText_IsNotTakenWhenABlockOfTheReplyFailed(string final)
    {
        var result = await new Plan($"{Script.Code("x = 1\n1/0")}\n{final}", Script.Answer("'later'")).RunAsync(Token);

        Assert.Equal("later", result.Text);
        Assert.Contains("Your final answer was not taken, because a block of the same reply failed.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FINAL(early)")]
    [InlineData("FINAL_VAR(answer)")]
    public async Task FinalAsText_IsProseWhenTheOptionIsOff(string final)
    {
        var result = await new Plan(final, Script.Answer("'later'")) { Configure = options => options.AcceptFinalText = false }.RunAsync(Token);

        Assert.Equal("later", result.Text);
        Assert.StartsWith("Nothing was run", result.Model.Requests[1].LastText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FinalInThinkTags_IsNotTheAnswer()
    {
        var result = await new Plan(
            "<think>\nIf it were so I would write\nFINAL(wrong)\n</think>\n" + Script.Code("x = 'right'"),
            Script.Answer("x")).RunAsync(Token);

        Assert.Equal("right", result.Text);
    }

    [Fact]
    public async Task FinalInsideABlock_IsNotText()
    {
        var result = await new Plan("```text\nFINAL(no)\n```", Script.Answer("'yes'")).RunAsync(Token);

        Assert.Equal("yes", result.Text);
    }

    [Theory]
    [InlineData("{'b': [1, 2.5, None, True], 'ä': 'ö'}", "{\"b\": [1, 2.5, null, true], \"ä\": \"ö\"}")]
    [InlineData("[{'a': 1}]", "[{\"a\": 1}]")]
    [InlineData("False", "false")]
    [InlineData("42", "42")]
    [InlineData("'{\"a\": 1}'", "{\"a\": 1}")]
    [InlineData("None", "null")]
    public async Task AnswerWhereJsonIsAskedFor_IsJson(string expression, string answer)
    {
        var result = await new Plan(Script.Answer(expression)) { ChatOptions = new ChatOptions { ResponseFormat = ChatResponseFormat.Json } }.RunAsync(Token);

        Assert.Equal(answer, result.Text);
    }

    [Fact]
    public async Task AnswerWhereASchemaIsAskedFor_DeserialisesAsTheCallersType()
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("{'city': 'Ljouwert', 'days': 3}")));

        var response = await client.GetResponseAsync<Trip>(Script.About("text"), cancellationToken: Token);

        Assert.Equal(new Trip("Ljouwert", 3), response.Result);
    }

    [Fact]
    public async Task LastTurn_IsToldToBeTheLast()
    {
        var result = await new Plan(Script.Code("1"), Script.Answer("2")) { Configure = options => options.MaxIterations = 2 }.RunAsync(Token);

        Assert.EndsWith("Turn 2 of 2, the last one.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Equal(StopReason.Answered, result.Trajectory.StopReason);
        Assert.Equal(ChatFinishReason.Stop, result.Response.FinishReason);
    }

    [Theory]
    [InlineData("It is 42.", "It is 42.")]
    [InlineData("FINAL(42)", "42")]
    [InlineData("FINAL_VAR(x)", "7")]
    [InlineData("```repl\nFINAL(x + 1)\n```", "8")]
    [InlineData("Mostly this.\n```repl\nprint(x)\n```", "Mostly this.")]
    [InlineData("", "No answer was found within 1 turns.")]
    [InlineData("<think>hm, 41?</think>\nIt is 42.", "It is 42.")]
    public async Task AfterTheLastTurn_TheModelIsAskedAsUserForTheAnswer(string fallback, string answer)
    {
        var result = await new Plan(Script.Code("x = 7"), fallback) { Configure = options => options.MaxIterations = 1 }.RunAsync(Token);

        Assert.Equal(answer, result.Text);
        Assert.Equal(ChatFinishReason.Length, result.Response.FinishReason);
        Assert.Equal(StopReason.MaxIterations, result.Trajectory.StopReason);
        Assert.Equal(2, result.Trajectory.Turns.Count);
        Assert.Null(result.Trajectory.Turns[^1].Feedback);
        var asked = result.Model.Requests[1].Messages[^1];
        Assert.Equal(ChatRole.User, asked.Role);
        Assert.EndsWith("All 1 turns are used. Reply now with your best final answer, as plain text without code.", asked.Text, StringComparison.Ordinal);
        Assert.Equal(30, result.Response.Usage?.TotalTokenCount);
    }

    [Theory]
    [InlineData("", "half of it")]
    [InlineData("```repl\nprint(1)\n```", "half of it")]
    [InlineData("```repl\nanswer['content'] = 'more'\n```", "more")]
    [InlineData("It is 42.", "It is 42.")]
    public async Task PartialAnswer_IsUsedWhenTheModelHasNoBetter(string fallback, string answer)
    {
        var result = await new Plan(Script.Code("answer['content'] = 'half of it'"), fallback) { Configure = options => options.MaxIterations = 1 }.RunAsync(Token);

        Assert.Equal(answer, result.Text);
        Assert.Equal(ChatFinishReason.Length, result.Response.FinishReason);
    }

    [Fact]
    public async Task PartialAnswer_OutlivesTheReplThatDied()
    {
        var result = await new Plan(Script.Code("answer['content'] = 'half of it'"), Script.Code("import os\nos._exit(1)"), string.Empty)
        {
            Configure = options => options.MaxIterations = 2,
        }.RunAsync(Token);

        Assert.Equal("half of it", result.Text);
    }

    [Fact]
    public async Task AnswerInABlockThatThenFails_IsTaken()
    {
        var result = await new Plan(Script.Code("answer['content'] = 'set'\nanswer['ready'] = True\nraise ValueError('too late')")).RunAsync(Token);

        Assert.Equal("set", result.Text);
    }

    private sealed record Trip(string City, int Days);
}
