using DeepRecall.Testing;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Request;

/// <summary>Which tools code gets: those that need approval, and those of children.</summary>
public sealed class ToolGrantsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ToolThatNeedsApprovalAndIsGranted_IsCalled(bool byRequest)
    {
        var options = new ChatOptions { Tools = [new ApprovalRequiredAIFunction(AIFunctionFactory.Create(() => "done", "delete_all"))] };
        var result = await new Plan(Script.Answer("delete_all()"))
        {
            ChatOptions = byRequest ? options.WithDeepRecall(own => own.ApprovedTools = ["delete_all"]) : options,
            Configure = own =>
            {
                if (!byRequest)
                {
                    own.ApprovedTools.Add("delete_all");
                }
            },
        }.RunAsync(Token);
        Assert.Equal("done", result.Text);
    }

    [Fact]
    public async Task ToolThatNeedsApproval_IsRefusedWithTheOptionThatGrantsIt()
    {
        using var client = Plan.Client(new ScriptedChatClient("unused"), options => options.ApprovedTools.Add("another"));
        var options = new ChatOptions { Tools = [new ApprovalRequiredAIFunction(AIFunctionFactory.Create(() => "done", "delete_all"))] };
        var error = await Assert.ThrowsAsync<ArgumentException>(() => client.GetResponseAsync("q", options, Token));
        Assert.Contains("'delete_all' needs approval, and code in the REPL cannot ask for it; name it in DeepRecallOptions.ApprovedTools", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "True True")]
    [InlineData("get-weather", "True False")]
    [InlineData("get_weather", "True False")]
    [InlineData("lucky", "False True")]
    [InlineData("", "False False")]
    public async Task Child_HasTheToolsThatAreGranted(string? granted, string seen)
    {
        var result = await new Plan(() => new ScriptedChatClient(request =>
            request.FirstText.Contains("child task", StringComparison.Ordinal) ? Script.Answer("f\"{'get_weather' in globals()} {'lucky' in globals()}\"")
            : request.Turn == 0 ? Script.Code("print(rlm_query('child task'), get_weather(), lucky())") : Script.Answer("1")))
        {
            ChatOptions = new ChatOptions { Tools = [AIFunctionFactory.Create(() => "sun", "get-weather"), AIFunctionFactory.Create(() => 7, "lucky")] },
            Configure = options =>
            {
                options.MaxDepth = 2;
                options.ChildTools = granted is null ? null : new HashSet<string>(granted.Length == 0 ? [] : [granted]);
            },
        }.RunAsync(Token);

        Assert.Equal($"{seen} sun 7\n", result.Output);
        var child = result.Model.Requests.First(request => request.FirstText.Contains("child task", StringComparison.Ordinal)).Messages[0].Text;
        Assert.Equal(seen.StartsWith("True", StringComparison.Ordinal), child.Contains("`get_weather()`", StringComparison.Ordinal));
    }
}
