using DeepRecall.Request;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientTurnTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SeveralBlocks_RunInOrderInOneSession()
    {
        var result = await new Plan(
            $"First.\n{Script.Code("a = 1\nprint('one')")}\nThen.\n{Script.Code("a += 1\nprint('two', a)")}\nDone.",
            Script.Answer("a")).RunAsync(Token);

        Assert.Equal("2", result.Text);
        Assert.Equal(["one\n", "two 2\n"], result.Cells.Take(2).Select(cell => cell.Output));
        Assert.Equal([1, 2, 3], result.Cells.Select(cell => cell.Number));
        Assert.Equal(
            "REPL output (block 1 of 2):\none\nVariables: a\n\nREPL output (block 2 of 2):\ntwo 2\nVariables: a\n\nTurn 2 of 15.",
            result.Model.Requests[1].LastText);
        Assert.Equal(result.Model.Requests[1].LastText, result.Trajectory.Turns[0].Feedback);
    }

    [Fact]
    public async Task BlocksAfterAFailingOne_AreNotRunAndTheModelIsTold()
    {
        var result = await new Plan(
            $"{Script.Code("x = 1")}\n{Script.Code("y = 2\n1/0")}\n{Script.Code("z = 3")}\n{Script.Code("z = 4")}",
            Script.Answer("sorted(n for n in ('x', 'y', 'z') if n in globals())")).RunAsync(Token);

        Assert.Equal("['x', 'y']", result.Text);
        Assert.Equal([CellStatus.Ok, CellStatus.Error], result.Trajectory.Turns[0].Cells.Select(cell => cell.Status));
        Assert.Equal("ZeroDivisionError", result.Cells[1].ErrorType);
        Assert.Contains("ZeroDivisionError: division by zero", result.Model.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Contains("Blocks 3 to 4 were not run, because block 2 failed.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OneBlockAfterAFailingOne_IsNamedAlone()
    {
        var result = await new Plan($"{Script.Code("1/0")}\n{Script.Code("z = 3")}", Script.Answer("1")).RunAsync(Token);

        Assert.Contains("Block 2 was not run, because block 1 failed.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BlocksAfterTheAnswer_AreNotRun()
    {
        using var sub = new ScriptedChatClient("yes");

        var result = await new Plan($"{Script.Answer("'done'")}\n{Script.Code("llm_query('more?')")}")
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal("done", result.Text);
        Assert.Single(result.Cells);
        Assert.Empty(sub.Requests);
    }

    [Fact]
    public async Task ReplyWithoutCode_IsToldThatNothingRan()
    {
        var result = await new Plan("I think it is 42.", Script.Answer("42")).RunAsync(Token);

        Assert.StartsWith("Nothing was run: your reply has no code in a fence tagged `repl`.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Empty(result.Trajectory.Turns[0].Cells);
        Assert.Equal("42", result.Text);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n\t ")]
    public async Task EmptyReply_IsToldSoAndTheLoopGoesOn(string reply)
    {
        var result = await new Plan(reply, Script.Answer("42")).RunAsync(Token);

        Assert.Equal("42", result.Text);
        Assert.Equal("Your reply was empty. Write code in a fence tagged `repl`.\n\nTurn 2 of 15.", result.Model.Requests[1].LastText);
        Assert.False(string.IsNullOrWhiteSpace(result.Model.Requests[1].Messages[^2].Text)); // providers refuse empty messages
    }

    [Fact]
    public async Task NullResponse_IsTakenForAnEmptyReply()
    {
        var result = await new Plan(() => new ScriptedChatClient((request, _) =>
            Task.FromResult(request.Turn == 0 ? null! : new ChatResponse(new ChatMessage(ChatRole.Assistant, Script.Answer("42")))))).RunAsync(Token);

        Assert.Equal("42", result.Text);
        Assert.StartsWith("Your reply was empty.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Equal(15, result.Response.Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task ReplyOfReasoningAlone_IsToldAsEmpty()
    {
        var result = await new Plan(() => new ScriptedChatClient((request, _) => Task.FromResult(new ChatResponse(new ChatMessage(
            ChatRole.Assistant,
            request.Turn == 0 ? [new TextReasoningContent("Let me think.")] : [new TextReasoningContent("So."), new TextContent(Script.Answer("42"))]))))).RunAsync(Token);

        Assert.Equal("42", result.Text);
        Assert.StartsWith("Your reply was empty.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Equal("Let me think.", Assert.Single(result.Response.Messages[0].Contents.OfType<TextReasoningContent>()).Text);
    }

    [Fact]
    public async Task ReplyCutOffInABlock_RunsAsItStandsAndTheModelIsTold()
    {
        var result = await new Plan(() => CutOff("Here.\n```repl\nx = 1\nprint('ran')", Script.Answer("x"))).RunAsync(Token);

        Assert.Equal("1", result.Text);
        Assert.Equal("ran\n", result.Output);
        Assert.Contains("its last block was incomplete and ran as it stood", result.Model.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Equal("length", result.Trajectory.Turns[0].FinishReason);
    }

    [Fact]
    public async Task ReplyCutOffInProse_IsTold()
    {
        var result = await new Plan(() => CutOff("I will now consider", Script.Answer("1"))).RunAsync(Token);

        Assert.Contains("Your reply was cut off at its output limit. Write shorter replies.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EmptyBlock_IsSkippedAndTheModelIsTold()
    {
        var result = await new Plan("```repl\n\n```", Script.Answer("1")).RunAsync(Token);

        Assert.Contains("An empty code block was skipped.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Empty(result.Trajectory.Turns[0].Cells);
    }

    [Fact]
    public async Task PythonBlock_RunsWhereThereIsNoReplBlock()
    {
        var result = await new Plan("```python\nx = 5\n```", "```repl\ny = x\n```\n```python\ny = 0\n```", Script.Answer("y")).RunAsync(Token);

        Assert.Equal("5", result.Text);
        Assert.Contains("1 block was not run, being tagged otherwise", result.Model.Requests[2].LastText, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(CodeFences.Repl, "```python\nanswer.update(content='py', ready=True)\n```", "late")]
    [InlineData(CodeFences.Python, "```python\nanswer.update(content='py', ready=True)\n```", "py")]
    [InlineData(CodeFences.Repl | CodeFences.Untagged, "```\nanswer.update(content='plain', ready=True)\n```", "plain")]
    [InlineData(CodeFences.Repl | CodeFences.Python, "```\nanswer.update(content='plain', ready=True)\n```", "late")]
    [InlineData(CodeFences.Repl | CodeFences.Python, "```json\n{\"a\": 1}\n```", "late")]
    public async Task OnlyTheFencesOfTheOptions_AreCode(CodeFences fences, string reply, string answer)
    {
        var result = await new Plan(reply, "FINAL(late)") { Configure = options => options.CodeFences = fences }.RunAsync(Token);

        Assert.Equal(answer, result.Text);
    }

    [Fact]
    public async Task OutputOverTheLimit_IsCutForTheModelAndTheCountIsTold()
    {
        var result = await new Plan(Script.Code("print('b' * 600 + 'e' * 600)"), Script.Answer("1")) { Configure = options => options.MaxOutputChars = 200 }.RunAsync(Token);

        var cell = result.Cells[0];
        Assert.Equal(1_001, cell.DroppedCharacters);
        Assert.StartsWith("bbb", cell.Output, StringComparison.Ordinal);
        Assert.EndsWith("eee\n", cell.Output, StringComparison.Ordinal);
        Assert.InRange(cell.Output.Length, 200, 300);
        Assert.Contains(cell.Output, result.Model.Requests[1].LastText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeathOfTheRepl_IsToldAndTheNextTurnHasTheContextAgain()
    {
        var result = await new Plan(
            Script.Code("x = 1\nhistory_length = len(history)"),
            Script.Code("import os\nprint('before', flush=True)\nos._exit(7)") + "\n" + Script.Code("x = 2"),
            Script.Answer("(context, len(history), 'x' in globals())"))
        {
            Messages =
            [
                new ChatMessage(ChatRole.User, "Earlier."),
                new ChatMessage(ChatRole.User, [ContextContent.FromText("the log"), new TextContent("What?")]),
            ],
        }.RunAsync(Token);

        Assert.Equal("('the log', 1, False)", result.Text);
        Assert.Equal(CellStatus.Died, result.Cells[1].Status);
        var told = result.Model.Requests[2].LastText;
        Assert.Contains("The REPL died: exit code 7; its variables are lost. A fresh REPL was started, with the context loaded again.", told, StringComparison.Ordinal);
        Assert.Contains("Block 2 was not run, because block 1 failed.", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CellOverItsTime_IsInterruptedAndItsVariablesStay()
    {
        var result = await new Plan(Script.Code("x = 'kept'\nwhile True: pass") + "\n" + Script.Code("y = 1"), Script.Answer("x"))
        {
            Configure = options => options.CellTimeout = TimeSpan.FromMilliseconds(300),
        }.RunAsync(Token);

        Assert.Equal("kept", result.Text);
        Assert.Equal(CellStatus.Interrupted, result.Cells[0].Status);
        Assert.Contains("Interrupted: the cell ran over its 0.3 seconds of computing time. Its variables are kept.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Contains("Block 2 was not run, because block 1 was interrupted.", result.Model.Requests[1].LastText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CodeInThinkTags_IsNotRun()
    {
        var result = await new Plan(
            $"<think>\nMaybe\n{Script.Code("answer.update(content='thought', ready=True)")}\n</think>\n{Script.Answer("'said'")}").RunAsync(Token);

        Assert.Equal("said", result.Text);
        Assert.Single(result.Cells);
    }

    private static ScriptedChatClient CutOff(string first, string second) => new((request, _) => Task.FromResult(
        new ChatResponse(new ChatMessage(ChatRole.Assistant, request.Turn == 0 ? first : second))
        {
            FinishReason = request.Turn == 0 ? ChatFinishReason.Length : ChatFinishReason.Stop,
        }));
}
