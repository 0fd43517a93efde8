using DeepRecall.Request;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AnswerSetInTheRepl_IsTheResponse()
    {
        var model = new ScriptedChatClient(
            """
            I look at the input.
            ```repl
            lines = context.split("\n")
            print(len(lines))
            ```
            """,
            """
            ```repl
            answer["content"] = lines[1]
            answer["ready"] = True
            ```
            """);
        using var client = new DeepRecallChatClient(model, new DeepRecallOptions { Sandbox = new LocalSandbox() });

        var response = await client.GetResponseAsync(
            [new ChatMessage(ChatRole.User, [ContextContent.FromText("one\ntwo\nthree"), new TextContent("Which is the second line?")])],
            cancellationToken: Token);

        Assert.Equal("two", response.Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.Equal(30, response.Usage?.TotalTokenCount);
        var trajectory = response.GetTrajectory();
        Assert.NotNull(trajectory);
        Assert.Equal("3\n", trajectory.Turns[0].Cells[0].Output);
        Assert.Contains("REPL output:\n3\nVariables: lines\n\nTurn 2 of 15.", model.Requests[1].LastText, StringComparison.Ordinal);
    }
}
