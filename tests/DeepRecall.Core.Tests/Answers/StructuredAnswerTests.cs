using System.ComponentModel;
using System.Text.Json;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Answers;

public sealed class StructuredAnswerTests
{
    private static readonly ChatOptions Schema = new() { ResponseFormat = ChatResponseFormat.ForJsonSchema<Finding>() };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("{'step': 'link', 'line': 7}")]
    [InlineData("'{\"step\": \"link\", \"line\": 7}'")]
    [InlineData("'```json\\n{\"step\": \"link\", \"line\": 7}\\n```'")]
    public async Task AnswerThatFits_IsTakenAsADictOrAsText(string expression)
    {
        var result = await RunAsync(Schema, Script.Answer(expression));

        Assert.Equal(new Finding("link", 7), JsonSerializer.Deserialize<Finding>(result.Text, JsonSerializerOptions.Web));
        Assert.Equal(StopReason.Answered, result.Trajectory.StopReason);
    }

    [Fact]
    public async Task AnswerThatDoesNotFit_GoesBackWithTheProblemAndIsTakenOnceItFits()
    {
        var result = await RunAsync(Schema, Script.Answer("{'step': 'link'}"), Script.Code("print(answer)"), Script.Code("answer['content']['line'] = 7\nanswer['ready'] = True"));

        Assert.Equal("""{"step": "link", "line": 7}""", result.Text);
        Assert.Contains("Your answer was not taken: $ lacks the property \"line\".", result.Trajectory.Turns[0].Feedback, StringComparison.Ordinal);

        // It is not ready any more, so a cell that does not set it anew is no answer.
        Assert.Equal("{'content': {'step': 'link'}, 'ready': False}\n", result.Cells[1].Output);
        Assert.Equal(3, result.Trajectory.Turns.Count);
    }

    [Fact]
    public async Task AnswerThatNeverFits_EndsTheRunAfterItsRepairs()
    {
        var result = await RunAsync(Schema, [.. Enumerable.Repeat(Script.Answer("'no json'"), 6)]);

        Assert.Equal(("no json", ChatFinishReason.Length, StopReason.MaxAnswerRepairs), (result.Text, result.Response.FinishReason, result.Trajectory.StopReason));
        Assert.Equal(4, result.Trajectory.Turns.Count);
    }

    [Fact]
    public async Task RepairsOfTheLastTurn_AreStillAsked()
    {
        var result = await new Plan(Script.Answer("{}"), "Sorry: {\"step\": 5}", "{\"step\": \"link\", \"line\": 7}")
        {
            ChatOptions = Schema,
            Configure = options => options.MaxIterations = 1,
        }.RunAsync(Token);

        Assert.Equal("""{"step": "link", "line": 7}""", result.Text);
        Assert.Contains("it is not JSON", result.Model.Requests[^1].LastText, StringComparison.Ordinal);
        Assert.Equal(StopReason.MaxIterations, result.Trajectory.StopReason);
    }

    [Fact]
    public async Task Blocks_AfterAnAnswerThatIsNotTaken_AreNotRun()
    {
        var result = await RunAsync(Schema, $"{Script.Answer("5")}\n{Script.Code("print('unreached')")}", Script.Answer("{'step': 's', 'line': 1}"));

        Assert.Single(result.Trajectory.Turns[0].Cells);
        Assert.Contains("Block 2 was not run, because block 1 gave an answer that was not taken.", result.Trajectory.Turns[0].Feedback, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FinalText_IsCheckedToo()
    {
        var result = await RunAsync(Schema, "FINAL({\"step\": \"link\"})", "FINAL({\"step\": \"link\", \"line\": 7})");
        Assert.Equal("""{"step": "link", "line": 7}""", result.Text);
    }

    [Theory]
    [InlineData("[1, None]", "[1, null]")]
    [InlineData("'5'", "5")]
    public async Task JsonWithoutASchema_IsAnyJson(string expression, string answer)
    {
        var result = await RunAsync(new ChatOptions { ResponseFormat = ChatResponseFormat.Json }, Script.Answer("'no json'"), Script.Answer(expression));
        Assert.Equal(answer, result.Text);
        Assert.Equal(2, result.Trajectory.Turns.Count);
    }

    [Fact]
    public async Task Schema_IsInThePromptAndNotInTheModelsOptions()
    {
        var result = await RunAsync(Schema, Script.Answer("{'step': 's', 'line': 1}"));

        var request = result.Model.Requests[0];
        Assert.Null(request.Options?.ResponseFormat);
        Assert.Contains("## The answer's form", request.Messages[0].Text, StringComparison.Ordinal);
        Assert.Contains("the step that failed", request.Messages[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TypedResponse_IsRead()
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("[{'step': 'a', 'line': 1}]"), Script.Answer("{'data': [{'step': 'a', 'line': 1}]}")));
        var response = await client.GetResponseAsync<Finding[]>(Script.About("c"), JsonSerializerOptions.Web, cancellationToken: Token);
        Assert.Equal([new Finding("a", 1)], response.Result);
    }

    [Fact]
    public async Task ChildWithASchema_GivesAPythonValueThatFits()
    {
        var result = await new Plan(() => new ScriptedChatClient(request =>
            !request.FirstText.Contains("child task", StringComparison.Ordinal)
                ? request.Turn == 0 ? Script.Code("v = rlm_query('child task', schema={'type': 'object', 'required': ['n']})\nprint(type(v).__name__, v['n'] + 1)") : Script.Answer("1")
                : Script.Answer(request.Turn == 0 ? "{}" : "{'n': 41}")))
        {
            Configure = options => options.MaxDepth = 2,
        }.RunAsync(Token);

        Assert.Equal("dict 42\n", result.Output);
        Assert.Equal(2, Assert.Single(result.Subcalls).Child?.Turns.Count);
    }

    [Fact]
    public async Task QueryWithASchemaAtTheGreatestDepth_IsAskedForJsonAndRepaired()
    {
        var sub = new ScriptedChatClient(request => request.LastText == "q" ? "seven" : "```json\n{\"n\":\n7}\n```");
        var result = await new Plan(
            Script.Code("s = {'type': 'object', 'properties': {'n': {'type': 'integer'}}, 'required': ['n']}\nprint(rlm_query('q', schema=s))\nprint(rlm_query_batched(['q', 'q'], schema=s))\nprint(rlm_query('q', schema='no schema'))"),
            Script.Answer("1"))
        {
            AnyOrder = true,
            Configure = options => options.SubClients.Add(new SubClient("sub", sub)),
        }.RunAsync(Token);

        Assert.Equal("{'n': 7}\n[{'n': 7}, {'n': 7}]\nError: the schema must be a dict, a JSON Schema, not a str\n", result.Output);
        Assert.IsType<ChatResponseFormatJson>(sub.Requests[0].Options?.ResponseFormat);
        Assert.Contains("That does not fit the schema: it is not JSON", sub.Requests[1].LastText, StringComparison.Ordinal);
        Assert.Equal(30, result.Subcalls[0].Usage?.TotalTokenCount);
    }

    [Fact]
    public async Task QueryWhoseAnswerNeverFits_IsAnError()
    {
        var sub = new ScriptedChatClient(_ => "seven");
        var result = await new Plan(Script.Code("print(rlm_query('q', schema={'type': 'integer'}))"), Script.Answer("1"))
        {
            Configure = options =>
            {
                options.MaxAnswerRepairs = 1;
                options.SubClients.Add(new SubClient("sub", sub));
            },
        }.RunAsync(Token);

        Assert.StartsWith("Error: the model's answer does not fit the schema: it is not JSON", result.Output, StringComparison.Ordinal);
        Assert.Equal(4, sub.Requests.Count);
    }

    private static Task<PlanResult> RunAsync(ChatOptions options, params string[] replies) => new Plan(replies) { ChatOptions = options }.RunAsync(Token);

    private sealed record Finding([property: Description("the step that failed")] string Step, int Line);
}
