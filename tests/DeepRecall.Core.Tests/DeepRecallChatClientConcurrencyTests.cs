using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientConcurrencyTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task HundredRequestsOnOneClient_DoNotMeet()
    {
        using var sandbox = new RecordingSandbox();
        var sub = new ScriptedChatClient(request => $"<{request.LastText}>");
        var model = new ScriptedChatClient(Script.Code("x = context\nprint('saw', x)\nr = llm_query(x)"), Script.Answer("(x, r, context, len(SHOW_VARS()))"));
        using var client = Plan.Client(model, options =>
        {
            options.Sandbox = sandbox;
            options.SubClients.Add(new SubClient("sub", sub));
        });

        var responses = await Task.WhenAll(Enumerable.Range(0, 100).Select(number =>
        {
            var messages = Script.About($"value {number:000}", $"Question {number}?");
            return number % 2 == 0
                ? client.GetResponseAsync(messages, cancellationToken: Token)
                : client.GetStreamingResponseAsync(messages, cancellationToken: Token).ToChatResponseAsync(Token);
        }));

        for (var number = 0; number < responses.Length; number++)
        {
            var value = $"value {number:000}";
            var trajectory = responses[number].GetTrajectory()!;
            Assert.StartsWith($"('{value}', '<{value}>', '{value}', ", responses[number].Text, StringComparison.Ordinal);
            Assert.Equal($"Question {number}?", trajectory.Question);
            Assert.Equal($"saw {value}\n", trajectory.Turns[0].Cells[0].Output);
            Assert.Equal(value, Assert.Single(trajectory.Turns[0].Cells[0].Subcalls).Prompt);
            Assert.Equal(45, responses[number].Usage?.TotalTokenCount);
        }

        Assert.Equal(100, responses.Select(response => response.ResponseId).Distinct().Count());
        Assert.Equal(100, sandbox.Starts);
        await sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task FailingRequest_LeavesTheOthersAlone()
    {
        var model = new ScriptedChatClient(request => request.FirstText.Contains("bad", StringComparison.Ordinal)
            ? throw new InvalidOperationException("only this one")
            : Script.Answer("context"));
        using var client = Plan.Client(model);

        var runs = Enumerable.Range(0, 10).Select(number => client.GetResponseAsync(Script.About($"{number}", number == 4 ? "bad" : "good"), cancellationToken: Token)).ToArray();
        await Assert.ThrowsAsync<InvalidOperationException>(() => Task.WhenAll(runs));

        Assert.All(runs.Where((_, number) => number != 4), run => Assert.True(run.IsCompletedSuccessfully));
        Assert.True(runs[4].IsFaulted);
    }

    [Fact]
    public async Task CapOfModelCalls_IsPerRequest()
    {
        var sub = new ScriptedChatClient("yes") { Latency = TimeSpan.FromMilliseconds(30) };
        var model = new ScriptedChatClient(Script.Code("llm_query_batched(['q'] * 6)"), Script.Answer("1"));
        using var client = Plan.Client(model, options =>
        {
            options.SubClients.Add(new SubClient("sub", sub));
            options.MaxConcurrentSubcalls = 2;
        });

        var responses = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => client.GetResponseAsync(Script.About("text"), cancellationToken: Token)));

        Assert.All(responses, response => Assert.Equal("1", response.Text));
        Assert.Equal(24, sub.Requests.Count);
        Assert.InRange(sub.MaxInFlight, 2, 8);
    }
}
