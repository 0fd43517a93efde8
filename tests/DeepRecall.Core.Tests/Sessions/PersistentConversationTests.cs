using DeepRecall.Sessions;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Time.Testing;

namespace DeepRecall.Tests.Sessions;

/// <summary>Conversations whose REPL lives on from request to request.</summary>
public sealed class PersistentConversationTests : IDisposable
{
    private readonly RecordingSandbox _sandbox = new();
    private readonly Queue<string> _replies = new();
    private readonly ScriptedChatClient _model;

    public PersistentConversationTests() => _model = new ScriptedChatClient(_ => _replies.Dequeue());

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _sandbox.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task VariablesContextsAndHistory_AreThereInLaterRequests(bool streamed)
    {
        using var client = Client();
        var first = await AskAsync(client, null, Script.About("the first text", "First?"), streamed, Script.Code("def double(x): return 2 * x\nkept = double(21)"), Script.Answer("'one'"));
        Assert.NotNull(first.ConversationId);
        var second = await AskAsync(client, first.ConversationId, Script.About("the second text", "Second?"), streamed, Script.Answer("(kept, double(1), context_0, context_1, context, len(history_0))"));
        Assert.Equal("(42, 2, 'the first text', 'the second text', 'the second text', 4)", second.Text);
        var third = await AskAsync(client, first.ConversationId, Script.Ask("Third?"), streamed, Script.Answer("([m['content'] for m in history[::2]], history[3]['content'][:3], context, len(history_1), history_0[-1])"));

        Assert.Equal("(['First?', 'Second?'], '(42', 'the second text', 2, {'role': 'assistant', 'content': 'one'})", third.Text);
        Assert.Equal(first.ConversationId, third.ConversationId);
        Assert.Equal(1, _sandbox.Starts);
        Assert.Equal(["context_0", "context_1"], third.GetTrajectory()?.Contexts.Select(context => context.Variable));
    }

    [Fact]
    public async Task Model_IsToldWhatThereIsOfEarlierRequests()
    {
        using var client = Client();
        await AskAsync(client, "c", Script.About("one", "First?"), false, Script.Answer("1"));
        await AskAsync(client, "c", Script.About("two", "Second?"), false, Script.Answer("2"));
        await AskAsync(client, "c", Script.Ask("Third?"), false, Script.Answer("3"));

        var text = _model.Requests[^1].FirstText;
        Assert.Contains("- `context_0`: str, 3 characters\n- `context_1` (also `context`): str, 3 characters\n", text, StringComparison.Ordinal);
        Assert.Contains("- `history`: list, the 4 earlier messages", text, StringComparison.Ordinal);
        Assert.Contains("- `history_0` to `history_1`: list, all messages of each earlier request", text, StringComparison.Ordinal);
        Assert.Contains("Your variables of the earlier requests are there too", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MessagesThatTheCallerSendsAgain_AreTheHistory()
    {
        using var client = Client();
        await AskAsync(client, "c", Script.About("one", "First?"), false, Script.Answer("1"));
        var response = await AskAsync(client, "c", [new(ChatRole.User, "mine"), new(ChatRole.Assistant, "own"), new(ChatRole.User, "Second?")], false, Script.Answer("[m['content'] for m in history]"));
        Assert.Equal("['mine', 'own']", response.Text);
    }

    [Fact]
    public async Task Answer_IsNotThatOfTheRequestBefore()
    {
        using var client = Client();
        await AskAsync(client, "c", Script.About("one"), false, Script.Answer("'old'"));
        var second = await AskAsync(client, "c", Script.Ask("And?"), false, Script.Code("print(answer)"), Script.Answer("'new'"));
        Assert.Equal("{'content': '', 'ready': False}\n", second.GetTrajectory()?.Turns[0].Cells[0].Output);
        Assert.Equal("new", second.Text);
    }

    [Fact]
    public async Task ToolsAndOptions_AreThoseOfEachRequest()
    {
        using var client = Client();
        var options = new ChatOptions { ConversationId = "c", Tools = [AIFunctionFactory.Create(() => 7, "lucky")], ResponseFormat = ChatResponseFormat.Json };
        _replies.Enqueue(Script.Answer("[lucky()]"));
        Assert.Equal("[7]", (await client.GetResponseAsync(Script.About("one"), options, Token)).Text);
        var second = await AskAsync(client, "c", Script.Ask("And?"), false, Script.Answer("('lucky' in globals(), [7])"));
        Assert.Equal("(False, [7])", second.Text);
    }

    [Fact]
    public async Task Conversations_ShareNothing()
    {
        using var client = Client();
        await AskAsync(client, "a", Script.About("one"), false, Script.Code("x = 1"), Script.Answer("1"));
        var other = await AskAsync(client, "b", Script.About("two"), false, Script.Answer("('x' in globals(), 'history_0' in globals())"));
        Assert.Equal("(False, False)", other.Text);
        Assert.Equal(2, _sandbox.Starts);
    }

    [Fact]
    public async Task RequestsOnOneConversationAtTheSameTime_RunOneAfterTheOther()
    {
        var model = new ScriptedChatClient(request => request.Turn == 0 ? Script.Code("n = globals().get('n', 0) + 1\nimport time\ntime.sleep(0.05)") : Script.Answer("n"));
        using var client = Client(model);
        var responses = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => client.GetResponseAsync(Script.About("c"), new ChatOptions { ConversationId = "c" }, Token)));

        Assert.Equal(["1", "2", "3", "4", "5", "6"], responses.Select(response => response.Text).Order(StringComparer.Ordinal));
        Assert.Equal(1, _sandbox.Starts);
    }

    [Fact]
    public async Task ReplThatDiedBetweenRequests_IsReplacedAndSaidToBeLost()
    {
        using var client = Client();
        await AskAsync(client, "c", Script.About("one", "First?"), false, Script.Code("x = 1\nimport threading, os, time\ndef die():\n    time.sleep(0.3)\n    os._exit(3)\nthreading.Thread(target=die).start()"), Script.Answer("1"));
        await _sandbox.FirstExited.WaitAsync(TimeSpan.FromSeconds(20), Token);
        var second = await AskAsync(client, "c", Script.Ask("Second?"), false, Script.Answer("('x' in globals(), context, history_0[0]['role'], len(history))"));

        Assert.Equal("(False, 'one', 'user', 2)", second.Text);
        var note = Assert.Single(second.GetTrajectory()!.Notes);
        Assert.Equal("The conversation's REPL was lost (exit code 3): the variables of earlier requests are gone; their contexts and history were loaded again.", note);
        Assert.Contains(note, _model.Requests[^1].FirstText, StringComparison.Ordinal);
        Assert.Equal(2, _sandbox.Starts);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnswerOfAReplThatDiesAfterIt_IsNotLost(bool streamed)
    {
        using var client = Client();
        var first = await AskAsync(client, "c", Script.About("one", "First?"), streamed, Script.Code("import threading, os, time\nthreading.Thread(target=lambda: (time.sleep(0.02), os._exit(3))).start()\nFINAL('kept')"), Script.Answer("'kept'"));
        _replies.Clear(); // the second reply is for a REPL that died before it could tell the answer
        var second = await AskAsync(client, "c", Script.Ask("Second?"), streamed, Script.Answer("(context, [message['content'] for message in history])"));

        Assert.Equal("kept", first.Text);
        Assert.Equal("('one', ['First?', 'kept'])", second.Text);
    }

    [Fact]
    public async Task RequestThatIsCancelledInACell_LosesTheReplAndSaysSo()
    {
        using var cancel = new CancellationTokenSource();
        using var client = Client(sub: new SubClient("sub", new ScriptedChatClient(_ =>
        {
            cancel.CancelAfter(200);
            return "go on";
        })));
        await AskAsync(client, "c", Script.About("one"), false, Script.Code("x = 1"), Script.Answer("1"));
        _replies.Enqueue(Script.Code("llm_query('I run')\nwhile True: pass"));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.GetResponseAsync(Script.Ask("Hang?"), new ChatOptions { ConversationId = "c" }, cancel.Token));

        var third = await AskAsync(client, "c", Script.Ask("Third?"), false, Script.Answer("('x' in globals(), context, len(history))"));
        Assert.Equal("(False, 'one', 2)", third.Text);
        Assert.StartsWith("The conversation's REPL was lost (its last cell was ended with its request)", Assert.Single(third.GetTrajectory()!.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RequestThatIsCancelledWhileTheModelIsAsked_LeavesTheRepl()
    {
        using var cancel = new CancellationTokenSource();
        var model = new ScriptedChatClient(async (request, token) =>
        {
            if (request.FirstText.Contains("Hang?", StringComparison.Ordinal))
            {
                await cancel.CancelAsync();
                await Task.Delay(Timeout.Infinite, token);
            }

            return new ChatResponse(new ChatMessage(ChatRole.Assistant, request.Turn == 0 && request.FirstText.Contains("First?", StringComparison.Ordinal) ? Script.Code("x = 5") : Script.Answer("x")));
        });
        using var client = Client(model);
        var options = new ChatOptions { ConversationId = "c" };
        await client.GetResponseAsync(Script.About("c", "First?"), options, Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.GetResponseAsync(Script.Ask("Hang?"), options, cancel.Token));
        Assert.Equal("5", (await client.GetResponseAsync(Script.Ask("Third?"), options, Token)).Text);
        Assert.Equal(1, _sandbox.Starts);
    }

    [Fact]
    public async Task IdleConversation_IsForgottenAndTheNextRequestIsTold()
    {
        var time = new FakeTimeProvider();
        using var store = new SessionStore(idleTimeout: TimeSpan.FromMinutes(10), timeProvider: time);
        using var client = Client(store: store);
        await AskAsync(client, "c", Script.About("one"), false, Script.Code("x = 1"), Script.Answer("1"));
        time.Advance(TimeSpan.FromMinutes(10));
        var second = await AskAsync(client, "c", Script.About("two", "Second?"), false, Script.Answer("('x' in globals(), context_0)"));

        Assert.Equal("(False, 'two')", second.Text);
        Assert.Equal("The REPL of this conversation's earlier requests is gone (it was idle for 10 minutes): their contexts, variables and history are lost.", Assert.Single(second.GetTrajectory()!.Notes));
        Assert.Contains("is gone (it was idle for 10 minutes)", _model.Requests[^1].FirstText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ContextThatCannotBeLoaded_DoesNotSpoilTheConversation()
    {
        using var client = Client();
        await AskAsync(client, "c", Script.About("one"), false, Script.Answer("1"));
        await Assert.ThrowsAsync<InvalidDataException>(() => AskAsync(client, "c", Script.About(new DataContent("{"u8.ToArray(), "application/json")), false));
        var third = await AskAsync(client, "c", Script.About("three"), false, Script.Answer("(context, context_1, 'context_2' in globals())"));
        Assert.Equal("('three', 'three', False)", third.Text);
    }

    [Fact]
    public async Task LongQuestionOfALaterRequest_IsAVariable()
    {
        using var client = Client();
        await AskAsync(client, "c", Script.About("one"), false, Script.Answer("1"));
        var second = await AskAsync(client, "c", Script.Ask(new string('q', 9_000)), false, Script.Answer("(context, len(context_1))"));
        Assert.Equal("('one', 9000)", second.Text);
        Assert.Contains("(The whole question is in `context_1`.)", _model.Requests[^1].FirstText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ClientThatIsDisposed_LeavesNothing()
    {
        using (var client = Client())
        {
            await AskAsync(client, "a", Script.About("one"), false, Script.Answer("1"));
            await AskAsync(client, "b", Script.About("one"), false, Script.Answer("1"));
        }

        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task StoreThatIsGiven_OutlivesTheClient()
    {
        using var store = new SessionStore();
        using (var client = Client(store: store))
        {
            await AskAsync(client, "a", Script.About("one"), false, Script.Code("x = 3"), Script.Answer("1"));
        }

        using var next = Client(store: store);
        Assert.Equal("3", (await AskAsync(next, "a", Script.Ask("And?"), false, Script.Answer("x"))).Text);
    }

    [Fact]
    public async Task ClientThatIsNotPersistent_StartsAnewAndTellsNoConversation()
    {
        using var client = Plan.Client(_model, options => options.Sandbox = _sandbox);
        var first = await AskAsync(client, "c", Script.About("one"), false, Script.Code("x = 1"), Script.Answer("1"));
        Assert.Null(first.ConversationId);
        Assert.Equal("False", (await AskAsync(client, "c", Script.About("one"), false, Script.Answer("'x' in globals()"))).Text);
        await _sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task RequestThatAsksForIt_IsPersistent()
    {
        using var client = Plan.Client(_model, options => options.Sandbox = _sandbox);
        var options = new ChatOptions().WithDeepRecall(own => own.Persistent = true);
        _replies.Enqueue(Script.Answer("1"));
        var first = await client.GetResponseAsync(Script.About("one"), options, Token);
        options.ConversationId = first.ConversationId;
        _replies.Enqueue(Script.Answer("len(history)"));
        Assert.Equal("2", (await client.GetResponseAsync("And?", options, Token)).Text);
    }

    private DeepRecallChatClient Client(ScriptedChatClient? model = null, SubClient? sub = null, SessionStore? store = null) =>
        Plan.Client(model ?? _model, options =>
        {
            options.Sandbox = _sandbox;
            options.Persistent = true;
            options.SessionStore = store;
            if (sub is not null)
            {
                options.SubClients.Add(sub);
            }
        });

    private async Task<ChatResponse> AskAsync(DeepRecallChatClient client, string? conversation, ChatMessage[] messages, bool streamed, params string[] replies)
    {
        foreach (var reply in replies)
        {
            _replies.Enqueue(reply);
        }

        var options = new ChatOptions { ConversationId = conversation };
        return streamed
            ? await client.GetStreamingResponseAsync(messages, options, Token).ToChatResponseAsync(Token)
            : await client.GetResponseAsync(messages, options, Token);
    }
}
