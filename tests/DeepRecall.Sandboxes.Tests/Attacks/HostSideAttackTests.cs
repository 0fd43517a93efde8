using System.Text;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Sandboxes.Tests.Attacks;

/// <summary>Attacks that work, or would, by what the host does itself.</summary>
public sealed class HostSideAttackTests : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("deeprecall-test-");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Victim => Path.Combine(_root.FullName, "victim.txt");

    public void Dispose() => _root.Delete(recursive: true);

    [Theory]
    [InlineData("os.symlink(victim, 'context_0')")]
    [InlineData("os.symlink(victim, 'file')\nos.symlink('file', 'context_0')")]
    [InlineData("open('context_0', 'w').close()")]
    [InlineData("os.mkfifo('context_0')")]
    public async Task LinkInTheWayOfAnUpload_IsReplacedNotFollowed(string trap)
    {
        await File.WriteAllTextAsync(Victim, "precious", Token);
        await using var process = await StartAsync($"import os, sys\nvictim = {Python(Victim)}\ndef main(nonce):\n    {trap.Replace("\n", "\n    ", StringComparison.Ordinal)}\n    print('set', flush=True)\n    sys.stdin.read()\n");
        await WaitForAsync(process, "set");
        var path = await process.UploadAsync("context_0", async (stream, token) => await stream.WriteAsync("uploaded"u8.ToArray(), token), Token);
        Assert.Equal("uploaded", await File.ReadAllTextAsync(path, Token));
        Assert.Equal("precious", await File.ReadAllTextAsync(Victim, Token));
        Assert.Null(new FileInfo(path).LinkTarget);
    }

    [Theory]
    [InlineData("context_0/full")]
    [InlineData("context_0")]
    public async Task DirectoryInTheWayOfAnUpload_IsGoneRound(string directory)
    {
        await using var process = await StartAsync($"import os, sys\ndef main(nonce):\n    os.makedirs('{directory}')\n    print('set', flush=True)\n    sys.stdin.read()\n");
        await WaitForAsync(process, "set");
        var path = await process.UploadAsync("context_0", async (stream, token) => await stream.WriteAsync("uploaded"u8.ToArray(), token), Token);
        Assert.Equal("uploaded", await File.ReadAllTextAsync(path, Token));
        Assert.Empty(_root.EnumerateFiles("upload-*").Concat(_root.EnumerateDirectories("deeprecall-*").SelectMany(home => home.EnumerateFiles("upload-*"))));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task UploadWhoseSourceBlocks_EndsWithItsToken_AndWhatIsLeftBehindFindsTheFileClosed(bool yields)
    {
        await using var process = await StartAsync("import sys\ndef main(nonce):\n    sys.stdin.read()\n");
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        using var entered = new SemaphoreSlim(0);
        using var go = new ManualResetEventSlim();
        var late = new TaskCompletionSource<Exception?>();
        var uploading = Task.Run(
            () => process.UploadAsync(
                "context_0",
                async (stream, _) =>
                {
                    entered.Release();
                    if (yields)
                    {
                        await Task.Run(() => go.Wait(Token), Token);
                    }
                    else
                    {
                        go.Wait(Token); // as a read of a console does, which knows no token
                    }

                    late.SetResult(await Record.ExceptionAsync(async () => await stream.WriteAsync("late"u8.ToArray(), Token)));
                },
                cancel.Token),
            Token);
        await entered.WaitAsync(Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => uploading.WaitAsync(TimeSpan.FromSeconds(30), Token));
        Assert.Empty(_root.EnumerateFiles("upload-*", SearchOption.AllDirectories));
        go.Set();
        Assert.IsType<ObjectDisposedException>(await late.Task.WaitAsync(TimeSpan.FromSeconds(30), Token));
        Assert.Empty(_root.EnumerateFiles("upload-*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task WorkerThatKeepsSilentWhenItIsGivenAVariable_IsReplaced()
    {
        await using var repl = await TestRepl.StartAsync(new LocalSandbox(), TestRepl.Settings with { StartTimeout = TimeSpan.FromSeconds(5) });
        await repl.RunAsync(Silence("set_variable"));
        var error = await Assert.ThrowsAsync<SandboxException>(() => repl.Session.SetVariableAsync("later", "[1]", Token));
        Assert.Contains("did not take 'later' within 5 seconds", error.Message, StringComparison.Ordinal);
        Assert.Equal(SandboxErrorKind.Timeout, error.Kind);
        Assert.Equal("[1]\n", await repl.PrintAsync("print(later)"));
    }

    [Fact]
    public async Task WorkerThatKeepsSilentWhenItIsGivenAContext_IsReplaced()
    {
        var settings = TestRepl.Settings with { StartTimeout = TimeSpan.FromSeconds(5) };
        await using var repl = await TestRepl.StartAsync(new LocalSandbox(), settings);
        await repl.RunAsync(Silence("set_context"));
        var context = (ContextSource)ContextContent.FromText("a context").RawRepresentation!;
        Assert.Equal("it did not answer within 5 seconds", await repl.Session.BeginAsync(settings, [context], makeCurrent: true, TestRepl.Echo, Token));
        Assert.Equal("a context\n", await repl.PrintAsync("print(context)"));
    }

    [Fact]
    public async Task FilesThatAreDeletedButOpen_CountWhereTheHostMaySeeThem()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only a privileged host sees what files a process of its user has open");
        await using var repl = await TestRepl.StartAsync(new LocalSandbox(new LocalSandboxOptions { ScratchRoot = _root.FullName, ScratchLimit = 64 << 20 }));
        var result = await repl.RunAsync("""
            import os
            held = []
            while True:
                held.append(open("file", "wb"))
                os.unlink("file")
                for _ in range(40):
                    held[-1].write(bytes(1 << 20))
            """);
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("ScratchLimit", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CallsPastTheFunctions_AreRefusedOrCountedAsAnyOther()
    {
        const string Forge = """
            import gc, sys
            worker = sys.modules["deeprecall_worker"]
            channel = next(each for each in gc.get_objects() if isinstance(each, worker.Channel))
            for name in ("llm_query", "no_such_function", "execute", "initialize"):
                try:
                    print(name, channel.call(name, {"prompt": "forged", "model": None}))
                except RuntimeError as error:
                    print(name, "refused:", error)
            """;
        var model = new ScriptedChatClient($"```repl\n{Forge}\n```", "```repl\nFINAL('done')\n```");
        var options = new DeepRecallOptions { Sandbox = new LocalSandbox() };
        options.SubClients.Add(new SubClient("sub", new ScriptedChatClient(_ => "an answer")));
        using var client = new DeepRecallChatClient(model, options);
        var response = await client.GetResponseAsync("Forge.", cancellationToken: Token);
        var cell = response.GetTrajectory()!.Turns[0].Cells[0];
        Assert.Contains("llm_query an answer", cell.Output, StringComparison.Ordinal);
        Assert.Equal(3, cell.Output.Split("refused:").Length - 1);
        Assert.Equal("llm_query", Assert.Single(cell.Subcalls, call => !call.IsError).Function);
    }

    private static string Silence(string method) => $"""
        import gc, sys, time
        worker = sys.modules["deeprecall_worker"]
        session = next(each for each in gc.get_objects() if isinstance(each, worker.Session))
        session.methods["{method}"] = lambda params: time.sleep(600)
        """;

    private static string Python(string text) => $"'{text}'";

    private static async Task WaitForAsync(ISandboxProcess process, string line)
    {
        using var reader = new StreamReader(process.Output, Encoding.UTF8, leaveOpen: true);
        Assert.Equal(line, await reader.ReadLineAsync(Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token));
    }

    private Task<ISandboxProcess> StartAsync(string worker)
    {
        var sandbox = new LocalSandbox(new LocalSandboxOptions { ScratchRoot = _root.FullName, Isolation = LocalIsolation.Required });
        return sandbox.StartAsync(new SandboxStartRequest { WorkerSource = worker, Nonce = "n" }, Token);
    }
}
