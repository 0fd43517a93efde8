using System.Security.Cryptography;
using DeepRecall.Request;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Sandboxes.Tests.Prime;

/// <summary>
/// Containers, whose exchange goes through files: messages that go by one command, by several and by a file, and the ends of a cell that need
/// commands of their own.
/// </summary>
public sealed class PrimeContainerTests(PrimeFixture fixture) : IClassFixture<PrimeFixture>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Cells_KeepTheirVariablesAndShowWhatTheyPrint()
    {
        await using var repl = await StartAsync();
        await repl.PrintAsync("kept = 'h\u00e9'");
        var result = await repl.RunAsync("print(kept)\n1 / 0");
        Assert.Equal((CellStatus.Error, "ZeroDivisionError", "h\u00e9\n"), (result.Status, result.ErrorType, result.Output));
        Assert.True((await repl.RunAsync("FINAL(kept)")).Ready);
    }

    [Fact]
    public async Task Calls_OfThreadsGetTheirOwnAnswers()
    {
        await using var repl = await StartAsync();
        Assert.Equal(
            "True\n",
            await repl.PrintAsync("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool:\n    print(list(pool.map(llm_query, map(str, range(12)))) == [f'echo: {i}' for i in range(12)])"));
    }

    [Fact]
    public async Task MessagesOfEverySize_CrossBothWays()
    {
        // What goes by one command, by several, and by a file.
        await using var repl = await StartAsync();
        Assert.Equal(
            "[True, True, True]\n",
            await repl.PrintAsync("print([llm_query(t) == 'echo: ' + t for t in ('a\\0\"\\\\\\r\\n\u2028' * n for n in (1, 12_000, 400_000))])"));
    }

    [Fact]
    public async Task Contexts_ArriveByteExact()
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 50_000).Select(line => $"{line}: \u00e9 \uD83D\uDE00\r\n")));
        using var stream = new MemoryStream(bytes);
        await using var repl = await StartAsync(ContextContent.FromStream(stream));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), (await repl.ValueAsync("__import__('hashlib').sha256(context.encode()).hexdigest()")).GetString());
    }

    [Fact]
    public async Task CellThatRunsOver_IsInterruptedAndKeepsItsVariables()
    {
        var settings = TestRepl.Settings with { CellTimeout = TimeSpan.FromSeconds(5), InterruptGrace = Patience };
        await using var repl = await TestRepl.StartAsync(fixture.CreateSandbox(options => options.Container = true), settings);
        var result = await repl.RunAsync("kept = 1\nwhile True:\n    pass");
        Assert.Equal(CellStatus.Interrupted, result.Status);
        Assert.Equal("1\n", await repl.PrintAsync("print(kept)"));
    }

    [Theory]
    [InlineData("import os\nos._exit(3)", "exit code 3")]
    [InlineData("import os, time\nos.kill(os.getpid(), 9)\ntime.sleep(60)", "signal 9 (SIGKILL")]
    public async Task WorkerThatDies_IsReplacedByAFreshOne(string code, string reason)
    {
        await using var repl = await StartAsync(ContextContent.FromText("the context"));
        var result = await repl.RunAsync(code).WaitAsync(Patience, Token);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains(reason, result.Error, StringComparison.Ordinal);
        Assert.Equal("the context\n", await repl.PrintAsync("print(context)"));
    }

    [Fact]
    public async Task CancelledCell_IsGoneWhenTheSessionIsDisposed()
    {
        var repl = await StartAsync();
        var process = (await repl.ValueAsync("__import__('os').getpid()")).GetInt32();
        using var cancelled = new CancellationTokenSource();
        var cell = repl.Session.ExecuteAsync("print('running', flush=True)\nwhile True:\n    pass", _ => cancelled.Cancel(), cancelled.Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cell.WaitAsync(Patience, Token));
        await repl.DisposeAsync().AsTask().WaitAsync(Patience, Token);
        Assert.False(Directory.Exists($"/proc/{process}") && !File.ReadAllText($"/proc/{process}/stat").Contains(") Z ", StringComparison.Ordinal));
    }

    private Task<TestRepl> StartAsync(params AIContent[] contexts) =>
        TestRepl.StartAsync(fixture.CreateSandbox(options => options.Container = true), contexts);
}
