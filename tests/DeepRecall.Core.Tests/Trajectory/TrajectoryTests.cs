using System.Text.Json;
using DeepRecall.Request;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace DeepRecall.Tests.Trajectory;

public sealed class TrajectoryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Response_GoesThroughJsonWithItsTrajectory()
    {
        var result = await new Plan(() => new ScriptedChatClient(request =>
            request.FirstText.Contains("Child", StringComparison.Ordinal) ? Script.Answer("context")
            : request.Turn == 0 ? "I ask.\n" + Script.Code("print(rlm_query('Child', 'äöü 🐍'))\n1/0") : Script.Answer("'done'")))
        {
            Configure = options => options.MaxDepth = 2,
        }.RunAsync(Token);

        foreach (var response in (ChatResponse[])[result.Response, result.Updates.ToChatResponse()])
        {
            var json = JsonSerializer.Serialize(response, AIJsonUtilities.DefaultOptions);
            var read = JsonSerializer.Deserialize<ChatResponse>(json, AIJsonUtilities.DefaultOptions)!;

            Assert.Equal("done", read.Text);
            Assert.Equal(ChatFinishReason.Stop, read.FinishReason);
            Assert.Equal(response.Usage?.TotalTokenCount, read.Usage?.TotalTokenCount);
            Assert.Equal("I ask.\n", Assert.Single(read.Messages[0].Contents.OfType<TextReasoningContent>()).Text);
            Assert.Equal(Tell(response.GetTrajectory()), Tell(read.GetTrajectory()));
        }

        var trajectory = JsonSerializer.Deserialize<ChatResponse>(JsonSerializer.Serialize(result.Response, AIJsonUtilities.DefaultOptions), AIJsonUtilities.DefaultOptions)!.GetTrajectory()!;
        Assert.Equal(CellStatus.Error, trajectory.Turns[0].Cells[0].Status);
        Assert.Equal("äöü 🐍", trajectory.Turns[0].Cells[0].Subcalls[0].Child?.Answer);
        Assert.Equal(result.Trajectory.Duration, trajectory.Duration);
    }

    [Fact]
    public async Task Updates_GoThroughJson()
    {
        var result = await new Plan("I look.\n" + Script.Answer("'done'")).RunAsync(Token);

        var read = result.Updates.Select(update =>
            JsonSerializer.Deserialize<ChatResponseUpdate>(JsonSerializer.Serialize(update, AIJsonUtilities.DefaultOptions), AIJsonUtilities.DefaultOptions)!).ToList();

        Assert.Equal("done", read.ToChatResponse().Text);
        Assert.Equal("done", read[^1].GetTrajectory()?.Answer);
    }

    [Fact]
    public async Task CacheOutside_GivesTheSameAnswerWithoutARun()
    {
        using var sandbox = new RecordingSandbox();
        var model = new ScriptedChatClient("I look.\n" + Script.Answer("context + '!'"));
        using var client = Cached(model, sandbox);

        var first = await client.GetResponseAsync(Script.Ask("Same question"), cancellationToken: Token);
        var second = await client.GetResponseAsync(Script.Ask("Same question"), cancellationToken: Token);
        var other = await client.GetResponseAsync(Script.Ask("Other question"), cancellationToken: Token);

        Assert.Equal(("Same question!", "Same question!", "Other question!"), (first.Text, second.Text, other.Text));
        Assert.Equal(2, sandbox.Starts);
        Assert.Equal(2, model.Requests.Count);
        Assert.Equal(Tell(first.GetTrajectory()), Tell(second.GetTrajectory()));
    }

    [Fact]
    public async Task CacheOutside_GivesTheSameStreamWithoutARun()
    {
        using var sandbox = new RecordingSandbox();
        using var client = Cached(new ScriptedChatClient("I look.\n" + Script.Answer("context + '!'")), sandbox);

        var first = await client.GetStreamingResponseAsync(Script.Ask("Same question"), cancellationToken: Token).ToChatResponseAsync(Token);
        var second = await client.GetStreamingResponseAsync(Script.Ask("Same question"), cancellationToken: Token).ToChatResponseAsync(Token);

        Assert.Equal(("Same question!", "Same question!"), (first.Text, second.Text));
        Assert.Equal(1, sandbox.Starts);
        Assert.NotNull(first.GetTrajectory());
        Assert.Equal(Tell(first.GetTrajectory()), Tell(second.GetTrajectory()));
        Assert.Equal(first.FinishReason, second.FinishReason);
        Assert.Equal(first.Usage?.TotalTokenCount, second.Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task CacheOutside_TellsTwoContextsOfOneQuestionApart()
    {
        using var sandbox = new RecordingSandbox();
        using var client = Cached(new ScriptedChatClient(Script.Answer("context")), sandbox);

        var first = await client.GetResponseAsync(Script.About("one"), cancellationToken: Token);
        var second = await client.GetResponseAsync(Script.About("two"), cancellationToken: Token);

        Assert.Equal(("one", "two"), (first.Text, second.Text));
    }

    [Fact]
    public void MessageWithAContext_GoesThroughJsonWithoutFailing()
    {
        // Loggers and telemetry outside the RLM serialise what goes by.
        var json = JsonSerializer.Serialize(Script.About(ContextContent.FromText("the text", "log"))[0], AIJsonUtilities.DefaultOptions);

        Assert.Contains("What is it?", json, StringComparison.Ordinal);
    }

    [Fact]
    public void ResponseOfAnotherClient_HasNoTrajectory()
    {
        Assert.Null(new ChatResponse(new ChatMessage(ChatRole.Assistant, "x")).GetTrajectory());
        Assert.Null(new ChatResponse { AdditionalProperties = new() { ["deeprecall.trajectory"] = JsonSerializer.SerializeToElement(5) } }.GetTrajectory());
        Assert.Null(new ChatResponseUpdate(ChatRole.Assistant, "x").GetTrajectory());
        Assert.Null(new InvalidOperationException().GetTrajectory());
        Assert.Empty(new ChatResponseUpdate(ChatRole.Assistant, "x").GetDeepRecallEvents());
    }

    [Fact]
    public async Task Trajectory_TellsTheRunAsItWas()
    {
        var result = await new Plan("Look.\n" + Script.Code("print('é')\ny = 1"), Script.Answer("'done'")).RunAsync(Token);

        var trajectory = result.Trajectory;
        Assert.Equal((0, "What is it?", "local", "done", StopReason.Answered), (trajectory.Depth, trajectory.Question, trajectory.Environment, trajectory.Answer, trajectory.StopReason));
        Assert.Null(trajectory.PartialAnswer);
        Assert.Equal(trajectory.RunId, result.Response.ResponseId);
        Assert.Equal([1, 2], trajectory.Turns.Select(turn => turn.Number));
        Assert.Equal("Look.\n```repl\nprint('é')\ny = 1\n```", trajectory.Turns[0].Reply);
        Assert.Equal(["stop", "stop"], trajectory.Turns.Select(turn => turn.FinishReason));
        Assert.Equal([15L, 15L], trajectory.Turns.Select(turn => turn.Usage!.TotalTokenCount!.Value));
        var cell = trajectory.Turns[0].Cells[0];
        Assert.Equal((1, "print('é')\ny = 1", CellStatus.Ok, "é\n", null), (cell.Number, cell.Code, cell.Status, cell.Output, cell.Error));
        Assert.Equal(["y"], cell.Variables);
        Assert.True(trajectory.Turns.All(turn => turn.Duration > TimeSpan.Zero));
        Assert.True(trajectory.Duration >= trajectory.Turns.Aggregate(TimeSpan.Zero, (sum, turn) => sum + turn.Duration));
    }

    private static IChatClient Cached(IChatClient model, RecordingSandbox sandbox) => model.AsBuilder()
        .UseDistributedCache(new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions())))
        .UseDeepRecall(options => options.Sandbox = sandbox)
        .Build();

    private static string Tell(RlmTrajectory? trajectory) => JsonSerializer.Serialize(trajectory);
}
