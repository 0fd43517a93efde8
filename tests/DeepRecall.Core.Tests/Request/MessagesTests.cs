using System.Collections;
using System.Text.Json;
using DeepRecall.Request;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Request;

public sealed class MessagesTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, ChatMessage[], string> Unusable => new()
    {
        { "no messages", [], "There are no messages" },
        { "a null message", [new ChatMessage(ChatRole.User, "q"), null!], "messages[1] is null" },
        { "a null content", [new ChatMessage(ChatRole.User, [new TextContent("q"), null!])], "messages[0] has a content that is null" },
        { "no user message", [new ChatMessage(ChatRole.System, "be brief"), new ChatMessage(ChatRole.Assistant, "hello")], "no user message" },
        { "a blank question", [new ChatMessage(ChatRole.User, "first"), new ChatMessage(ChatRole.User, " \n ")], "last user message has no text" },
        { "a context without a question", [new ChatMessage(ChatRole.User, [ContextContent.FromText("text")])], "last user message has no text" },
    };

    [Theory]
    [MemberData(nameof(Unusable), DisableDiscoveryEnumeration = true)]
    public async Task MessagesThatHoldNoQuestion_AreRefusedBeforeASandboxStarts(string what, ChatMessage[] messages, string told)
    {
        using var sandbox = new RecordingSandbox();
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")), options => options.Sandbox = sandbox);

        var error = await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync(messages, cancellationToken: Token));
        var streamed = await Assert.ThrowsAsync<ArgumentException>(() => client.GetStreamingResponseAsync(messages, cancellationToken: Token).ToChatResponseAsync(Token));

        Assert.True(error.Message.Contains(told, StringComparison.Ordinal), $"{what}: {error.Message}");
        Assert.Equal("messages", error.ParamName);
        Assert.Equal(error.Message, streamed.Message);
        Assert.Equal(0, sandbox.Starts);
    }

    [Fact]
    public async Task NullMessages_AreRefusedByName()
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")));

        var error = await Assert.ThrowsAsync<ArgumentNullException>(() => client.GetResponseAsync((IEnumerable<ChatMessage>)null!, cancellationToken: Token));
        await Assert.ThrowsAsync<ArgumentNullException>(() => client.GetStreamingResponseAsync((IEnumerable<ChatMessage>)null!, cancellationToken: Token).ToChatResponseAsync(Token));

        Assert.Equal("messages", error.ParamName);
    }

    [Fact]
    public async Task Messages_AreEnumeratedOnce()
    {
        var messages = new CountedMessages(Script.Ask("How many?"));
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1"), Script.Answer("2")));

        await client.GetResponseAsync(messages, cancellationToken: Token);
        Assert.Equal(1, messages.Enumerations);

        await client.GetStreamingResponseAsync(messages, cancellationToken: Token).ToChatResponseAsync(Token);
        Assert.Equal(2, messages.Enumerations);
    }

    [Fact]
    public async Task ChatOptions_AreNotMutated()
    {
        var tool = AIFunctionFactory.Create(() => 1, "one");
        var options = FullOptions(tool);
        var before = JsonSerializer.Serialize(options, AIJsonUtilities.DefaultOptions);

        await new Plan(() => new ScriptedChatClient((request, _) =>
        {
            // A model that writes into what it is given must not reach the caller's object, nor the next turn.
            request.Options!.Temperature = 2;
            request.Options.StopSequences!.Add("changed");
            request.Options.AdditionalProperties!["changed"] = true;
            return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, request.Turn == 0 ? Script.Code("1") : Script.Answer("one()"))));
        })
        {
            Metadata = new ChatClientMetadata("scripted"),
        })
        {
            ChatOptions = options,
        }.RunAsync(Token);

        Assert.Equal(before, JsonSerializer.Serialize(options, AIJsonUtilities.DefaultOptions));
        Assert.Same(tool, Assert.Single(options.Tools!));
    }

    [Fact]
    public async Task OptionsOfTheTurns_ReachTheRootModelAndThoseOfTheAnswerDoNot()
    {
        var result = await new Plan(Script.Code("1"), Script.Answer("one()"))
        {
            ChatOptions = FullOptions(AIFunctionFactory.Create(() => 1, "one")),
        }.RunAsync(Token);

        Assert.Equal(2, result.Model.Requests.Count);
        Assert.All(result.Model.Requests.Concat(result.StreamedModel.Requests), request =>
        {
            Assert.NotNull(request.Options);
            Assert.Equal("the-model", request.Options.ModelId);
            Assert.Equal(0.25f, request.Options.Temperature);
            Assert.Equal(777, request.Options.MaxOutputTokens);
            Assert.Equal(["stop"], request.Options.StopSequences);
            Assert.Equal("yes", request.Options.AdditionalProperties!["extra"]);
            Assert.Null(request.Options.Tools);
            Assert.Null(request.Options.ToolMode);
            Assert.Null(request.Options.AllowMultipleToolCalls);
            Assert.Null(request.Options.ResponseFormat);
            Assert.Null(request.Options.ConversationId);
            Assert.Null(request.Options.Instructions);
        });
    }

    [Fact]
    public async Task SystemMessagesAndInstructions_ReachTheSystemPromptTogether()
    {
        var result = await new Plan(Script.Answer("1"))
        {
            Messages =
            [
                new ChatMessage(ChatRole.System, "Answer in Frisian."),
                new ChatMessage(ChatRole.User, "How many?"),
                new ChatMessage(ChatRole.System, "Name your source."),
            ],
            ChatOptions = new ChatOptions { Instructions = "Be brief." },
        }.RunAsync(Token);

        var system = Assert.Single(result.Model.Requests[0].Messages, message => message.Role == ChatRole.System);
        Assert.EndsWith("## Instructions of the caller\nAnswer in Frisian.\n\nName your source.\n\nBe brief.", system.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("Frisian", result.Model.Requests[0].FirstText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SingleMessageWithoutContext_IsItselfTheContext()
    {
        var result = await new Plan(Script.Code("print(type(context).__name__, context, 'history' in globals())"), Script.Answer("context_0"))
        {
            Messages = Script.Ask("Count the r in strawberry."),
        }.RunAsync(Token);

        Assert.Equal("str Count the r in strawberry. False\n", result.Output);
        Assert.Equal("Count the r in strawberry.", result.Text);
        Assert.Equal(new ContextRecord("context_0", null, "str", 26, 26), Assert.Single(result.Trajectory.Contexts));
    }

    [Fact]
    public async Task ConversationWithoutContext_IsTheContextAndItsEarlierMessagesAreHistory()
    {
        var result = await new Plan(Script.Code("print(context)\nprint(history)"), Script.Answer("len(history)"))
        {
            Messages =
            [
                new ChatMessage(ChatRole.System, "Be brief."),
                new ChatMessage(ChatRole.User, "I am Ada."),
                new ChatMessage(ChatRole.Assistant, "Hello \"Ada\"."),
                new ChatMessage(ChatRole.User, "Who am I?"),
            ],
        }.RunAsync(Token);

        Assert.Equal(
            "[{'role': 'user', 'content': 'I am Ada.'}, {'role': 'assistant', 'content': 'Hello \"Ada\".'}, {'role': 'user', 'content': 'Who am I?'}]\n"
            + "[{'role': 'user', 'content': 'I am Ada.'}, {'role': 'assistant', 'content': 'Hello \"Ada\".'}]\n",
            result.Output);
        Assert.Contains("- `history`: list, the 2 earlier messages of this conversation\n", result.Model.Requests[0].FirstText, StringComparison.Ordinal);
        Assert.Equal("Who am I?", result.Trajectory.Question);
    }

    [Fact]
    public async Task ConversationBesideAContext_IsHistoryOnly()
    {
        var result = await new Plan(Script.Code("print(context, len(history), history[1]['content'])"), Script.Answer("1"))
        {
            Messages =
            [
                new ChatMessage(ChatRole.User, [ContextContent.FromText("the log"), new TextContent("What is in it?")]),
                new ChatMessage(ChatRole.Assistant, "Lines."),
                new ChatMessage(ChatRole.User, "How many?"),
            ],
        }.RunAsync(Token);

        Assert.Equal("the log 2 Lines.\n", result.Output);
    }

    [Fact]
    public async Task ResponseAddedToTheConversation_IsHistoryByItsAnswerAlone()
    {
        List<ChatMessage> messages = [new(ChatRole.User, "What is six times seven?")];
        var first = await new Plan("Secret thoughts.\n" + Script.Answer("6 * 7")) { Messages = messages }.RunAsync(Token);
        messages.AddMessages(first.Response);
        messages.Add(new ChatMessage(ChatRole.User, "And plus one?"));

        var second = await new Plan(Script.Code("print(history)"), Script.Answer("1")) { Messages = messages }.RunAsync(Token);

        Assert.Equal("[{'role': 'user', 'content': 'What is six times seven?'}, {'role': 'assistant', 'content': '42'}]\n", second.Output);
    }

    [Fact]
    public async Task VeryLongQuestion_IsShownAsAnExcerptAndIsWholeInTheRepl()
    {
        var question = "BEGIN " + new string('x', 50_000) + " MIDDLE " + new string('y', 50_000) + " END";

        var result = await new Plan(Script.Code("print(len(context), 'MIDDLE' in context)"), Script.Answer("1")) { Messages = Script.Ask(question) }.RunAsync(Token);

        var first = result.Model.Requests[0].FirstText;
        Assert.Equal($"{question.Length} True\n", result.Output);
        Assert.InRange(first.Length, 8_000, 9_000);
        Assert.Contains("BEGIN xxx", first, StringComparison.Ordinal);
        Assert.Contains("yyy END", first, StringComparison.Ordinal);
        Assert.DoesNotContain("MIDDLE", first, StringComparison.Ordinal);
        Assert.Contains("(The whole question is in `context`.)", first, StringComparison.Ordinal);
    }

    [Fact]
    public async Task VeryLongQuestionBesideAContext_IsAContextOfItsOwn()
    {
        var question = new string('q', 9_000);

        var result = await new Plan(Script.Code("print(context, len(context_1))"), Script.Answer("1")) { Messages = Script.About("the log", question) }.RunAsync(Token);

        Assert.Equal("the log 9000\n", result.Output);
        Assert.Contains("(The whole question is in `context_1`.)", result.Model.Requests[0].FirstText, StringComparison.Ordinal);
        Assert.Contains("- `context_1`: str, 9,000 characters: the question\n", result.Model.Requests[0].FirstText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HalfACharacterInTheHistory_DoesNotEndTheRun()
    {
        var result = await new Plan(Script.Code("print(ascii(history[0]['content']))"), Script.Answer("1"))
        {
            Messages = [new ChatMessage(ChatRole.User, "a\ud800b"), new ChatMessage(ChatRole.Assistant, "c"), new ChatMessage(ChatRole.User, "d")],
        }.RunAsync(Token);

        Assert.Equal("'a\\ufffdb'\n", result.Output);
    }

    private static ChatOptions FullOptions(AITool tool) => new()
    {
        ModelId = "the-model",
        Temperature = 0.25f,
        MaxOutputTokens = 777,
        StopSequences = ["stop"],
        AdditionalProperties = new() { ["extra"] = "yes" },
        Tools = [tool],
        ToolMode = ChatToolMode.RequireAny,
        AllowMultipleToolCalls = true,
        ResponseFormat = ChatResponseFormat.Json,
        ConversationId = "conversation",
        Instructions = "Be brief.",
    };

    private sealed class CountedMessages(IEnumerable<ChatMessage> messages) : IEnumerable<ChatMessage>
    {
        public int Enumerations { get; private set; }

        public IEnumerator<ChatMessage> GetEnumerator()
        {
            Enumerations++;
            return messages.GetEnumerator();
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
