using System.Text.Json;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientSecretsTests
{
    private const string Secret = "sk-4711-secret-value";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EnvironmentOfTheHost_IsNotThereForACell()
    {
        Environment.SetEnvironmentVariable("DEEPRECALL_TEST_API_KEY", Secret);

        var result = await new Plan(
            Script.Code(
                """
                import os
                print(sorted(os.environ))
                print("sk-4711" in repr(dict(os.environ)))
                try:
                    print("sk-4711" in open("/proc/self/environ", errors="replace").read())
                except PermissionError:
                    print(False)  # confined code may not even look
                """),
            Script.Answer("1")).RunAsync(Token);

        Assert.Equal(CellStatus.Ok, result.Cells[0].Status);
        Assert.EndsWith("\nFalse\nFalse\n", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("DEEPRECALL_TEST_API_KEY", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ChatOptions_DoNotReachTheTrajectoryNorTheRepl()
    {
        var result = await new Plan(
            Script.Code("r = llm_query('q')\nimport gc\nprint(any(isinstance(o, dict) and 'sk-4711' in str(o.get('api_key')) for o in gc.get_objects()))"),
            Script.Answer("r"))
        {
            Configure = options => options.SubClients.Add(new SubClient(
                "sub", new ScriptedChatClient("yes"), new ChatOptions { AdditionalProperties = new() { ["api_key"] = Secret } })),
            ChatOptions = new ChatOptions
            {
                AdditionalProperties = new() { ["api_key"] = Secret },
                RawRepresentationFactory = _ => Secret,
                StopSequences = [Secret],
            },
        }.RunAsync(Token);

        Assert.Equal("False\n", result.Output);
        Assert.DoesNotContain(Secret, JsonSerializer.Serialize(result.Trajectory), StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, JsonSerializer.Serialize(result.Response, AIJsonUtilities.DefaultOptions), StringComparison.Ordinal);
        Assert.All(result.Model.Requests, request => Assert.All(request.Messages, message => Assert.DoesNotContain(Secret, message.Text, StringComparison.Ordinal)));
        Assert.DoesNotContain(Secret, string.Concat(result.Events.Select(value => value.ToString())), StringComparison.Ordinal);
    }
}
