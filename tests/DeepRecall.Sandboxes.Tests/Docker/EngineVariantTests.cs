using System.Security.Cryptography;
using System.Text;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>The behaviours that an engine or a runtime could break, for each other than Docker's own, which runs them all.</summary>
public abstract class EngineVariantTests : IAsyncDisposable
{
    private DockerSandboxOptions? _options;

    protected string Mark { get; } = Guid.NewGuid().ToString("N");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_options is not null)
        {
            await TestEngine.AssertNothingLeftAsync(Mark, _options.Endpoint);
        }

        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task Cells_CallsAndContexts_Work()
    {
        var text = string.Concat(Enumerable.Repeat("a\r\nb\0é\U0001F600\n", 30_000));
        await using var repl = await TestRepl.StartAsync(Sandbox(), ContextContent.FromText(text), ContextContent.FromText("short"));
        Assert.Equal(
            Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text))),
            (await repl.ValueAsync("__import__('hashlib').sha256(context.encode()).hexdigest()")).GetString());
        Assert.Equal("short echo: hi ['echo: a']\n", await repl.PrintAsync("print(context_1, llm_query('hi'), rlm_query_batched(['a']))"));
        Assert.Equal("100 True\n", await repl.PrintAsync("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(8) as pool:\n    answers = list(pool.map(llm_query, map(str, range(100))))\nprint(len(answers), answers == [f'echo: {i}' for i in range(100)])"));
        Assert.Equal("2000006\n", await repl.PrintAsync("print(len(llm_query('x' * 2_000_000)))"));
        Assert.Equal("child\n", await repl.PrintAsync("import subprocess\nsubprocess.run(['echo', 'child'])\nNone"));
        Assert.True((await repl.RunAsync("FINAL('x')")).Ready);
    }

    [Fact]
    public async Task Interrupt_KeepsTheVariables()
    {
        await using var repl = await TestRepl.StartAsync(Sandbox(), TestRepl.Settings with { CellTimeout = TimeSpan.FromSeconds(1) });
        foreach (var code in (string[])["while True:\n    pass", "import time\ntime.sleep(600)", "import subprocess\nsubprocess.run(['sleep', '600'])"])
        {
            Assert.Equal(CellStatus.Interrupted, (await repl.RunAsync($"kept = 'kept'\n{code}")).Status);
            Assert.Equal("kept\n", await repl.PrintAsync("print(kept)"));
        }
    }

    [Theory]
    [InlineData("import os\nos._exit(3)", "exit code 3")]
    [InlineData("import os, time\nos.kill(os.getpid(), 9)\ntime.sleep(60)", "signal 9")]
    [InlineData("import ctypes\nctypes.string_at(0)", "signal 11")]
    public async Task WorkerThatDies_IsReplaced(string code, string reason)
    {
        await using var repl = await TestRepl.StartAsync(Sandbox(), ContextContent.FromText("the context"));
        var result = await repl.RunAsync(code);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains(reason, result.Error, StringComparison.Ordinal);
        Assert.Equal("the context\n", await repl.PrintAsync("print(context)"));
    }

    [Fact]
    public async Task Container_IsConfined()
    {
        await using var repl = await TestRepl.StartAsync(Sandbox());
        foreach (var (attack, code) in DockerAttacks.Files.Concat(DockerAttacks.Network).Concat(DockerAttacks.Escapes))
        {
            var result = await repl.RunAsync($"{DockerAttacks.Prelude}\n{code}");
            Assert.True(result.Status == CellStatus.Error, $"{attack}: {result.Status} {result.Output}");
        }
    }

    protected abstract DockerSandboxOptions Options();

    private DockerSandbox Sandbox() => new(_options = Options());
}

/// <summary>gVisor, a kernel of its own for the container.</summary>
public sealed class GVisorTests : EngineVariantTests
{
    [Fact]
    public async Task Kernel_IsGVisors()
    {
        await using var repl = await TestRepl.StartAsync(new DockerSandbox(Options()));
        Assert.NotEqual(File.ReadAllText("/proc/sys/kernel/osrelease"), await repl.PrintAsync("import os\nprint(os.uname().release)"));
    }

    protected override DockerSandboxOptions Options()
    {
        var options = TestEngine.Options(Mark);
        options.Runtime = TestEngine.Runtime;
        return options;
    }
}

/// <summary>Podman's service, which speaks Docker's API.</summary>
public sealed class PodmanTests : EngineVariantTests
{
    protected override DockerSandboxOptions Options() => TestEngine.Options(Mark, TestEngine.Podman);
}

/// <summary>Uploads as archives, as to an engine on another machine.</summary>
public sealed class VolumeTests : EngineVariantTests
{
    protected override DockerSandboxOptions Options()
    {
        var options = TestEngine.Options(Mark);
        options.Uploads = DockerUploadMode.Volume;
        return options;
    }
}
