using DeepRecall.Testing;

namespace DeepRecall.Tests.Hosting;

public sealed class HostedAppTests : IDisposable
{
    private readonly ScratchRoot _scratch = new();
    private readonly string _context = Path.GetTempFileName();

    public HostedAppTests() => File.WriteAllText(_context, "step 1: ok\nstep 2: error 7\n");

    private static CancellationToken Token => Services.Token;

    public void Dispose()
    {
        File.Delete(_context);
        _scratch.Dispose();
    }

    [Fact]
    public async Task Question_IsAnswered()
    {
        await using var server = await FakeOpenAI.StartAsync(request => request.Roles.Contains("system")
            ? "```repl\nFINAL(llm_query(context.splitlines()[1]))\n```"
            : "the second");
        await using var app = Start(server);

        Assert.Equal(0, await app.EndAsync(Token));

        Assert.Equal("the second\n", app.Output);
        Assert.Equal(["gpt-4o", "gpt-4o-mini"], server.Requests.Select(request => request.Model));
        await _scratch.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task SignalInARequest_StopsTheApplication_WithNothingLeft()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "It needs signals.");
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await FakeOpenAI.StartAsync(async (request, token) =>
        {
            asked.TrySetResult();
            await Task.Delay(Timeout.Infinite, token);
            return "never";
        });
        await using var app = Start(server);
        await asked.Task.WaitAsync(TimeSpan.FromMinutes(1), Token);
        Assert.NotEmpty(_scratch.Left());

        app.Terminate();

        Assert.Equal(130, await app.EndAsync(Token));
        Assert.Contains("Stopped before there was an answer.", app.Errors, StringComparison.Ordinal);
        await _scratch.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task WithoutAKey_ItSaysWhichSettingIsMissing()
    {
        await using var app = ExampleProcess.Start(BuildPaths.HostedApp, new Dictionary<string, string>());

        Assert.Equal(2, await app.EndAsync(Token));
        Assert.Contains("DeepRecall:Backends:main:ApiKey is not set; set it, or the environment variable OPENAI_API_KEY", app.Errors, StringComparison.Ordinal);
    }

    private ExampleProcess Start(FakeOpenAI server) => ExampleProcess.Start(BuildPaths.HostedApp, new Dictionary<string, string>
    {
        ["OPENAI_API_KEY"] = "sk-test",
        ["DeepRecall__Backends__main__BaseUrl"] = server.BaseUrl,
        ["DeepRecall__Backends__mini__BaseUrl"] = server.BaseUrl,
        ["DeepRecall__Environments__local__ScratchRoot"] = _scratch.Path,
        ["App__ContextPath"] = _context,
        ["App__Question"] = "Which step failed?",
    });
}
