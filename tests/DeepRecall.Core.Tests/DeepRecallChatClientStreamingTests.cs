using System.Runtime.CompilerServices;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientStreamingTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Events_ComeInTheOrderOfWhatHappens()
    {
        var sub = new ScriptedChatClient("yes");

        var result = await new Plan(Script.Code("x = llm_query('q')"), Script.Answer("x"))
        {
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal(
            [
                nameof(TurnStartedEvent), nameof(CellStartedEvent), nameof(SubcallStartedEvent), nameof(SubcallCompletedEvent), nameof(CellCompletedEvent),
                nameof(TurnStartedEvent), nameof(CellStartedEvent), nameof(CellCompletedEvent), nameof(AnswerEvent),
            ],
            result.Events.Where(value => value is not CellOutputEvent).Select(value => value.GetType().Name));
        Assert.Equal([(1, 15), (2, 15)], result.Events.OfType<TurnStartedEvent>().Select(value => (value.Turn, value.MaxTurns)));
        Assert.Equal("x = llm_query('q')", result.Events.OfType<CellStartedEvent>().First().Code);
        var started = Assert.Single(result.Events.OfType<SubcallStartedEvent>());
        var completed = Assert.Single(result.Events.OfType<SubcallCompletedEvent>()).Subcall;
        Assert.Equal((1, "llm_query", "sub", "q"), (started.Number, started.Function, started.Model, started.Prompt));
        Assert.Equal((1, "yes"), (completed.Number, completed.Response));
        Assert.Equal(("yes", StopReason.Answered), result.Events.OfType<AnswerEvent>().Select(value => (value.Answer, value.StopReason)).Single());
        Assert.Single(result.Events.Select(value => value.RunId).Distinct());
    }

    [Fact]
    public async Task EventsOfAChild_HaveItsRunAndItsDepth()
    {
        var result = await new Plan(() => new ScriptedChatClient(request =>
            request.FirstText.Contains("Child", StringComparison.Ordinal) ? "Thoughts of the child.\n" + Script.Answer("context")
            : request.Turn == 0 ? Script.Code("rlm_query('Child', 'c')") : Script.Answer("1")))
        {
            Configure = options => options.MaxDepth = 2,
        }.RunAsync(Token);

        var child = Assert.Single(result.Events.Where(value => value.Depth == 1).Select(value => value.RunId).Distinct());
        var root = Assert.Single(result.Events.Where(value => value.Depth == 0).Select(value => value.RunId).Distinct());
        Assert.NotEqual(root, child);
        Assert.Equal(result.Updates.ToChatResponse().GetTrajectory()!.Turns[0].Cells[0].Subcalls[0].Child!.RunId, child);
        Assert.Equal(["c", "1"], result.Events.OfType<AnswerEvent>().Select(value => value.Answer));
        Assert.DoesNotContain("Thoughts of the child", string.Concat(result.Updates.SelectMany(update => update.Contents).OfType<TextReasoningContent>().Select(content => content.Text)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task EveryTurn_IsAMessageAndTheLastIsTheAnswer()
    {
        var result = await new Plan("I look.\n" + Script.Code("x = 1"), "I know.\n" + Script.Answer("'it is ' + str(x)")).RunAsync(Token);

        Assert.Equal(3, result.Response.Messages.Count);
        Assert.Equal(["", "", "it is 1"], result.Response.Messages.Select(message => message.Text));
        Assert.Equal("it is 1", result.Response.Text);
        Assert.Equal(["I look.\n", "I know.\n"], result.Response.Messages.Take(2).Select(message => Assert.Single(message.Contents.OfType<TextReasoningContent>()).Text));
        Assert.Equal(3, result.Response.Messages.Select(message => message.MessageId).Distinct().Count());
        Assert.All(result.Updates, update => Assert.Equal(ChatRole.Assistant, update.Role ?? ChatRole.Assistant));
        Assert.Single(result.Updates.Select(update => update.ResponseId).Distinct());
        Assert.NotNull(result.Updates[^1].GetTrajectory());
        Assert.All(result.Updates.SkipLast(1), update => Assert.Null(update.GetTrajectory()));
        Assert.Equal(ChatFinishReason.Stop, result.Updates[^1].FinishReason);
    }

    [Fact]
    public async Task Prose_IsStreamedBeforeTheTurnIsOver()
    {
        var read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var model = new SteppedChatClient((_, token) => ReplyAsync(token));
        using var client = Plan.Client(model);

        await foreach (var update in client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token))
        {
            if (update.Contents.OfType<TextReasoningContent>().Any(content => content.Text == "I look first.\n"))
            {
                read.TrySetResult();
            }
        }

        Assert.True(read.Task.IsCompletedSuccessfully);

        async IAsyncEnumerable<string> ReplyAsync([EnumeratorCancellation] CancellationToken token)
        {
            yield return "I look ";
            yield return "first.\n";

            // Goes on only when the reader has the prose.
            await read.Task.WaitAsync(TimeSpan.FromSeconds(30), token);
            yield return Script.Answer("1");
        }
    }

    [Fact]
    public async Task OutputOfACell_IsToldWhileItRuns()
    {
        using var gate = new TemporaryFile();
        var told = 0;
        using var client = Plan.Client(new ScriptedChatClient(
            Script.Code($"import os, time\nprint('early', flush=True)\nend = time.time() + 30\nwhile not os.path.exists({gate.Python}) and time.time() < end:\n    time.sleep(0.01)\nprint('saw it', time.time() < end)"),
            Script.Answer("1")));

        List<CellCompletedEvent> completed = [];
        await foreach (var update in client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token))
        {
            foreach (var value in update.GetDeepRecallEvents())
            {
                if (value is CellOutputEvent { Cell: 1 } output && output.Text.Contains("early", StringComparison.Ordinal))
                {
                    Assert.Empty(completed);
                    told++;
                    gate.Create();
                }
                else if (value is CellCompletedEvent end)
                {
                    completed.Add(end);
                }
            }
        }

        Assert.Equal(1, told);
        Assert.Equal("early\nsaw it True\n", completed[0].Cell.Output);
    }

    [Fact]
    public async Task BreakingOutOfTheStream_EndsTheRunAndLeavesNoProcess()
    {
        using var sandbox = new RecordingSandbox();
        var model = new ScriptedChatClient(Script.Code("while True: pass"), Script.Answer("1"));
        using var client = Plan.Client(model, options => options.Sandbox = sandbox);

        await foreach (var update in client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token))
        {
            if (update.GetDeepRecallEvents().Any(value => value is CellStartedEvent))
            {
                break;
            }
        }

        Assert.Equal(1, sandbox.Starts);
        await sandbox.AssertNothingLeftAsync(Token);
        Assert.Single(model.Requests);
    }

    [Fact]
    public async Task BreakingOutWhileTheModelHangs_EndsTheRun()
    {
        using var sandbox = new RecordingSandbox();
        var model = new SteppedChatClient((_, _) => HangAsync());
        using var client = Plan.Client(model, options => options.Sandbox = sandbox);

        var reading = Task.Run(
            async () =>
            {
                await foreach (var update in client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token))
                {
                    if (update.Contents.OfType<TextReasoningContent>().Any())
                    {
                        break;
                    }
                }
            },
            Token);
        await reading.WaitAsync(TimeSpan.FromSeconds(20), Token);

        await sandbox.AssertNothingLeftAsync(Token);

        static async IAsyncEnumerable<string> HangAsync()
        {
            yield return "I think.\n";
            await Task.Delay(Timeout.Infinite, CancellationToken.None);
        }
    }

    [Fact]
    public async Task ExceptionOfTheModelInTheStream_PassesThroughAfterWhatCameBefore()
    {
        var failure = new HttpRequestException("the wire broke");
        using var sandbox = new RecordingSandbox();
        using var client = Plan.Client(
            new SteppedChatClient((messages, _) => ReplyAsync(messages.Count)), options => options.Sandbox = sandbox);

        List<ChatResponseUpdate> updates = [];
        var error = await Assert.ThrowsAsync<HttpRequestException>(async () =>
        {
            await foreach (var update in client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token))
            {
                updates.Add(update);
            }
        });

        Assert.Same(failure, error);
        Assert.Equal("Second thoughts.\n", updates.SelectMany(update => update.Contents).OfType<TextReasoningContent>().Single().Text);
        Assert.Equal((StopReason.Failed, 1), (error.GetTrajectory()!.StopReason, error.GetTrajectory()!.Turns.Count));
        await sandbox.AssertNothingLeftAsync(Token);

        async IAsyncEnumerable<string> ReplyAsync(int messages)
        {
            await Task.Yield();
            if (messages == 2)
            {
                yield return Script.Code("x = 1");
                yield break;
            }

            yield return "Second thoughts.\n";
            throw failure;
        }
    }

    [Fact]
    public async Task StreamNobodyReads_StartsNothing()
    {
        using var sandbox = new RecordingSandbox();
        var model = new ScriptedChatClient(Script.Answer("1"));
        using var client = Plan.Client(model, options => options.Sandbox = sandbox);

        var enumerator = client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token).GetAsyncEnumerator(Token);
        await enumerator.DisposeAsync();

        Assert.Equal(0, sandbox.Starts);
        Assert.Empty(model.Requests);
    }

    [Fact]
    public async Task StreamReadTwice_RunsTwice()
    {
        var model = new ScriptedChatClient(Script.Answer("1"));
        using var client = Plan.Client(model);
        var stream = client.GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token);

        var first = await stream.ToChatResponseAsync(Token);
        var second = await stream.ToChatResponseAsync(Token);

        Assert.Equal(("1", "1"), (first.Text, second.Text));
        Assert.NotEqual(first.ResponseId, second.ResponseId);
    }

    private sealed class TemporaryFile : IDisposable
    {
        private readonly string _path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

        public string Python => $"'{_path.Replace("\\", "\\\\", StringComparison.Ordinal)}'";

        public void Create() => File.WriteAllText(_path, string.Empty);

        public void Dispose() => File.Delete(_path);
    }
}
