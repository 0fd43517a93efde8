using DeepRecall.Loop;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Loop;

public sealed class CompactionTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ConversationPastTheThreshold_GoesOnFromASummary()
    {
        var result = await new Plan(() => Model(
            request => request.Turn switch
            {
                0 => (Script.Code("found = 'heron'\nprint('first output')"), 100),
                1 => (Script.Code("print('second output')"), 900),
                _ => (Script.Answer("found"), 200),
            }))
        {
            Configure = options => options.Model = new ModelInfo { ContextWindow = 1_000 },
        }.RunAsync(Token);

        Assert.Equal("heron", result.Text);
        var done = Assert.Single(result.Trajectory.Compactions);
        Assert.Equal((3, 900L, "SUMMARY 1"), (done.BeforeTurn, done.TokensBefore, done.Summary));
        Assert.Single(result.Events.OfType<CompactedEvent>());

        // The model was sent the pinned messages, the summary, and the last turn, which it had not answered to.
        var last = result.Model.Requests[^1].Messages;
        Assert.Equal([ChatRole.System, ChatRole.User, ChatRole.Assistant, ChatRole.User, ChatRole.Assistant, ChatRole.User], last.Select(message => message.Role));
        Assert.Contains("Question:\nWhat is it?", last[1].Text, StringComparison.Ordinal);
        Assert.Equal("SUMMARY 1", last[2].Text);
        Assert.Contains("summarised above (1 time by now)", last[3].Text, StringComparison.Ordinal);
        Assert.Contains("second output", last[5].Text, StringComparison.Ordinal);
        Assert.DoesNotContain(last, message => message.Text.Contains("first output", StringComparison.Ordinal));

        // Its usage is told with the rest: three turns and a summary.
        Assert.Equal(100 + 900 + 200 + 50, result.Response.Usage?.TotalTokenCount);
        Assert.Equal(4, result.Trajectory.ModelCalls);
    }

    [Fact]
    public async Task FullTextOfSummarisedTurns_IsInHistoryBehindTheEarlierMessages()
    {
        var result = await new Plan(() => Model(
            request => request.Turn switch
            {
                0 => (Script.Code("print('first output')"), 100),
                1 => (Script.Code("print('second output')"), 900),
                _ => (Script.Code("print(len(history), history[0]['content'], [h['role'] for h in history])\nprint('first output' in history[-1]['content'])\nFINAL(1)"), 200),
            }))
        {
            Configure = options => options.Model = new ModelInfo { ContextWindow = 1_000 },
            Messages = [new(ChatRole.User, "earlier question"), new(ChatRole.Assistant, "earlier answer"), .. Script.About("c")],
        }.RunAsync(Token);

        Assert.Equal("5 earlier question ['user', 'assistant', 'user', 'assistant', 'user']\nTrue\n", result.Cells[^1].Output);
    }

    [Fact]
    public async Task Conversation_IsSummarisedAsOftenAsItMustBe()
    {
        var result = await new Plan(() => Model(
            request => request.Messages.Any(message => message.Text.Contains("(3 times by now)", StringComparison.Ordinal)) ? (Script.Answer("len(history)"), 10) : (Script.Code("print('more')"), 900)))
        {
            Configure = options => options.Model = new ModelInfo { ContextWindow = 1_000 },
        }.RunAsync(Token);

        Assert.Equal(3, result.Trajectory.Compactions.Count);
        Assert.Equal(["SUMMARY 1", "SUMMARY 2", "SUMMARY 3"], result.Trajectory.Compactions.Select(done => done.Summary));

        // The first message, and both messages of each of the turns but the last.
        Assert.Equal($"{1 + (2 * (result.Trajectory.Turns.Count - 2))}", result.Text);
    }

    [Theory]
    [InlineData("This model's maximum context length is 8192 tokens.", null)]
    [InlineData("The request was refused.", "ContextLength")]
    public async Task PromptThatTheModelFindsTooLong_IsSummarisedOnceAndSentAgain(string message, string? kind)
    {
        var result = await new Plan(() => Model(request =>
        {
            if (request.Messages.Count == 4 && !request.Messages[2].Text.StartsWith("SUMMARY", StringComparison.Ordinal))
            {
                var error = new InvalidOperationException(message);
                error.Data["deeprecall.backend_error"] = kind;
                throw error;
            }

            return request.Turn == 0 ? (Script.Code($"kept = 5\nprint('{new string('x', 9_000)}')"), 10) : (Script.Answer("kept"), 10);
        })).RunAsync(Token);

        Assert.Equal("5", result.Text);
        Assert.Single(result.Trajectory.Compactions);

        // What is too long is not sent whole to be summarised either.
        var summary = result.Model.Requests.Single(request => IsSummary(request));
        Assert.True(summary.Messages.Skip(2).Sum(part => part.Text.Length) < 6_000);
    }

    [Fact]
    public async Task SummaryWhosePromptIsTooLong_IsAskedForWithLessOfTheConversation()
    {
        var result = await new Plan(() => new ScriptedChatClient((request, _) =>
        {
            if (IsSummary(request))
            {
                return request.Messages.Sum(message => message.Text.Length) > 10_000
                    ? throw new InvalidOperationException("prompt is too long")
                    : Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, "SUMMARY")) { Usage = Usage(50) });
            }

            var reply = !request.Messages.Any(message => message.Text == "SUMMARY") ? Script.Code($"kept = 5\nprint('{new string('x', 9_000)}')") : Script.Answer("kept");
            return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, reply)) { Usage = Usage(990) });
        }))
        {
            Configure = options => options.Model = new ModelInfo { ContextWindow = 1_000 },
        }.RunAsync(Token);

        Assert.Equal("5", result.Text);
        Assert.NotEmpty(result.Trajectory.Compactions);
        Assert.Contains(result.Model.Requests, request => IsSummary(request) && request.Messages.Sum(message => message.Text.Length) > 10_000);
    }

    [Fact]
    public async Task PromptThatIsTooLongAgain_EndsTheRunWithTheModelsException()
    {
        var model = Model(request => request.Turn == 0 ? (Script.Code("x = 1"), 10) : throw new InvalidOperationException("prompt is too long"));
        using var client = Plan.Client(model);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => client.GetResponseAsync(Script.About("c"), cancellationToken: Token));

        Assert.Equal("prompt is too long", error.Message);
        Assert.Equal(StopReason.Failed, error.GetTrajectory()?.StopReason);
        Assert.Single(error.GetTrajectory()!.Compactions);
    }

    [Fact]
    public async Task FirstPromptThatIsTooLong_HasNothingToSummarise()
    {
        using var client = Plan.Client(new ScriptedChatClient(_ => throw new InvalidOperationException("prompt is too long")));
        await Assert.ThrowsAsync<InvalidOperationException>(() => client.GetResponseAsync(Script.About("c"), cancellationToken: Token));
    }

    [Fact]
    public async Task CompactionThatIsOff_LeavesTheConversation()
    {
        var result = await new Plan(() => Model(request => request.Turn < 2 ? (Script.Code("x = 1"), 990) : (Script.Answer("1"), 990)))
        {
            Configure = options =>
            {
                options.Model = new ModelInfo { ContextWindow = 1_000 };
                options.CompactionThreshold = null;
            },
        }.RunAsync(Token);
        Assert.Empty(result.Trajectory.Compactions);
    }

    [Fact]
    public async Task SummaryThatIsEmpty_LeavesTheConversation()
    {
        var result = await new Plan(() => new ScriptedChatClient((request, _) => Task.FromResult(
            new ChatResponse(new ChatMessage(ChatRole.Assistant, IsSummary(request) ? " " : request.Turn < 2 ? Script.Code("x = 1") : Script.Answer("1"))) { Usage = Usage(990) })))
        {
            Configure = options => options.Model = new ModelInfo { ContextWindow = 1_000 },
        }.RunAsync(Token);
        Assert.Empty(result.Trajectory.Compactions);
        Assert.Equal("1", result.Text);
    }

    [Theory]
    [InlineData(null, 128_000)]
    [InlineData("nobody-knows", 128_000)]
    [InlineData("gpt-4", 8_192)]
    [InlineData("gpt-4o-mini-2024-07-18", 128_000)]
    [InlineData("openai/gpt-4.1-mini", 1_047_576)]
    [InlineData("gpt-50", 128_000)]
    [InlineData("foo1-mini", 128_000)]
    [InlineData("o1-mini", 128_000)]
    [InlineData("o1", 200_000)]
    [InlineData("anthropic/claude-sonnet-4", 200_000)]
    [InlineData("claude-2", 100_000)]
    [InlineData("Gemini-2.5-pro", 1_000_000)]
    [InlineData("llama-3.1-70b", 128_000)]
    [InlineData("llama-3", 8_192)]
    public void WindowOfAModel_IsThatOfTheLongestKnownName(string? model, int tokens) => Assert.Equal(tokens, ModelWindows.Of(model));

    private static bool IsSummary(ScriptedRequest request) => request.LastText.StartsWith("This conversation is getting too long", StringComparison.Ordinal);

    /// <summary>A model whose replies have a usage, and that numbers its summaries, each of 50 tokens.</summary>
    private static ScriptedChatClient Model(Func<ScriptedRequest, (string Text, long Tokens)> reply)
    {
        var summaries = 0;
        return new ScriptedChatClient((request, _) =>
        {
            var (text, tokens) = IsSummary(request) ? ($"SUMMARY {++summaries}", 50) : reply(request);
            return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, text)) { Usage = Usage(tokens) });
        });
    }

    private static UsageDetails Usage(long tokens) => new() { InputTokenCount = tokens - 5, OutputTokenCount = 5, TotalTokenCount = tokens };
}
