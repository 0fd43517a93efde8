using System.Runtime.Versioning;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Local;

[UnsupportedOSPlatform("windows")]
public sealed class LocalSandboxBehaviourTests : IDisposable
{
    private static readonly SandboxStartRequest Request = new() { WorkerSource = WorkerSource.Text, Nonce = "n" };
    private readonly string _directory = Directory.CreateTempSubdirectory("deeprecall-test-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task MissingPython_IsNamed()
    {
        var path = Path.Combine(_directory, "no-such-python");
        var error = await FailAsync(path);
        Assert.Contains($"{path} (not found)", error.Message, StringComparison.Ordinal);
        Assert.Contains("LocalSandboxOptions.PythonPath", error.Message, StringComparison.Ordinal);
        Assert.Contains("3.9", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PythonThatIsNotExecutable_IsNamed()
    {
        var path = Path.Combine(_directory, "python");
        await File.WriteAllTextAsync(path, "#!/bin/sh\n", Token);
        Assert.Contains(path, (await FailAsync(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PythonThatIsADirectory_IsNamed() => Assert.Contains(_directory, (await FailAsync(_directory)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("echo 3.8.18; echo /usr/bin/python3", "version 3.8.18 is too old")]
    [InlineData("echo 2.7.18; echo /usr/bin/python2", "version 2.7.18 is too old")]
    [InlineData("echo 'no such option: -I' >&2; exit 2", "exit code 2: no such option: -I")]
    [InlineData("echo hello", "exit code 0")]
    [InlineData("exit 127", "exit code 127")]
    public async Task PythonThatIsUnfit_IsNamedWithTheReason(string script, string reason)
    {
        var path = await WriteScriptAsync(script);
        var error = await FailAsync(path);
        Assert.Contains($"{path} ({reason}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PythonThatAppearsLater_IsFoundByTheNextStart()
    {
        var path = Path.Combine(_directory, "python");
        await FailAsync(path);
        var python = await LocalSandbox.ResolveAsync(null);
        await WriteScriptAsync($"exec {python.Executable} \"$@\"");
        await using var repl = await TestRepl.StartAsync(new LocalSandbox(new LocalSandboxOptions { PythonPath = path }));
        Assert.Equal("up\n", await repl.PrintAsync("print('up')"));
    }

    [Fact]
    public async Task PythonPath_IsUsed()
    {
        var python = await LocalSandbox.ResolveAsync(null);
        var link = Path.Combine(_directory, "linked-python");
        File.CreateSymbolicLink(link, python.Executable);
        await using var repl = await TestRepl.StartAsync(new LocalSandbox(new LocalSandboxOptions { PythonPath = link }));
        Assert.Equal(link, (await repl.ValueAsync("__import__('sys').executable")).GetString());
    }

    [Fact]
    public void ScratchRootThatIsNotThere_IsRefused()
    {
        var error = Assert.Throws<ArgumentException>(() => new LocalSandbox(new LocalSandboxOptions { ScratchRoot = Path.Combine(_directory, "missing") }));
        Assert.Contains("LocalSandboxOptions.ScratchRoot", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EnvironmentOfTheHost_IsNotSeen()
    {
        const string Name = "DEEPRECALL_TEST_API_KEY";
        Environment.SetEnvironmentVariable(Name, "secret");
        try
        {
            await using var repl = await TestRepl.StartAsync(FreeSandbox());
            var names = await repl.ValueAsync("sorted(__import__('os').environ)");
            Assert.Equal(["HOME", "LANG", "PATH", "TMPDIR"], names.EnumerateArray().Select(name => name.GetString()!).Where(name => name != "LC_CTYPE"));
            Assert.Equal("/usr/local/bin:/usr/bin:/bin", (await repl.ValueAsync("__import__('os').environ['PATH']")).GetString());
            Assert.DoesNotContain("secret", await repl.PrintAsync("print(open('/proc/self/environ').read())"), StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Name, null);
        }
    }

    [Fact]
    public async Task WorkingDirectory_IsAnEmptyScratchDirectoryOfItsOwn()
    {
        await using var repl = await TestRepl.StartAsync(Sandbox());
        Assert.Equal("[]\n", await repl.PrintAsync("import os, tempfile\nprint(os.listdir())"));
        Assert.Equal("True True\n", await repl.PrintAsync("print(tempfile.gettempdir() == os.getcwd(), os.environ['HOME'] == os.getcwd())"));
        Assert.Equal("0o700\n", await repl.PrintAsync("print(oct(os.stat('.').st_mode & 0o777))"));
    }

    [Theory]
    [InlineData("pass")]
    [InlineData("os.chmod('.', 0)")]
    [InlineData("os.makedirs('a/b/c')\nopen('a/b/c/file', 'w').close()\nos.chmod('a/b/c/file', 0)\nos.chmod('a/b/c', 0)\nos.chmod('a', 0)")]
    [InlineData("os.symlink('/', 'root')\nos.symlink('.', 'self')\nos.symlink('missing', 'broken')\nos.mkfifo('pipe')")]
    [InlineData("for name in (b'\\xff\\xfe', 'new\\nline', '-rf', ' ', 'é'):\n    open(name, 'w').close()")]
    [InlineData("for i in range(100):\n    os.mkdir('d' * 100)\n    os.chdir('d' * 100)")]
    public async Task ScratchDirectory_IsGoneAfterDispose(string code)
    {
        var repl = await TestRepl.StartAsync(FreeSandbox());
        var scratch = (await repl.ValueAsync("__import__('os').getcwd()")).GetString()!;
        Assert.StartsWith(_directory, scratch, StringComparison.Ordinal);
        await repl.PrintAsync($"import os\n{code}");
        try
        {
            await repl.DisposeAsync();
            Assert.False(Directory.Exists(scratch), "the scratch directory is still there");
        }
        finally
        {
            // Not by .NET, which cannot delete all that these cells leave.
            using var remove = System.Diagnostics.Process.Start("rm", ["-rf", scratch]);
            await remove.WaitForExitAsync(Token);
        }
    }

    [Fact]
    public async Task DeletingTheScratchDirectory_DoesNotFollowLinksOutOfIt()
    {
        var outside = Directory.CreateDirectory(Path.Combine(_directory, "outside")).FullName;
        var file = Path.Combine(outside, "precious.txt");
        await File.WriteAllTextAsync(file, "x", Token);
        await using (var repl = await TestRepl.StartAsync(FreeSandbox()))
        {
            await repl.PrintAsync($"import os\nos.symlink('{outside}', 'link')\nos.mkdir('d')\nos.symlink('{outside}', 'd/link')\nos.chmod('d', 0o500)");
        }

        Assert.True(File.Exists(file));
    }

    [Fact]
    public async Task HomeOfAHostThatWasKilled_IsDeleted_AndThatOfALivingOneIsKept()
    {
        var root = Directory.CreateDirectory(Path.Combine(_directory, "root")).FullName;
        var orphan = Directory.CreateDirectory(Path.Combine(root, "deeprecall-orphan"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        var outside = Directory.CreateDirectory(Path.Combine(_directory, "outside")).FullName;
        var link = Directory.CreateSymbolicLink(Path.Combine(root, "deeprecall-link"), outside).FullName;
        await File.WriteAllTextAsync(Path.Combine(outside, "lock"), string.Empty, Token);
        var living = Directory.CreateDirectory(Path.Combine(root, "deeprecall-living")).FullName;
        var other = Directory.CreateDirectory(Path.Combine(root, "deeprecall-without-a-lock")).FullName;
        await File.WriteAllTextAsync(Path.Combine(orphan, "lock"), string.Empty, Token);
        await using var held = new FileStream(Path.Combine(living, "lock"), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);

        await using var repl = await TestRepl.StartAsync(new LocalSandbox(new LocalSandboxOptions { ScratchRoot = root }));
        Assert.False(Directory.Exists(orphan));
        Assert.True(Directory.Exists(living));
        Assert.True(Directory.Exists(other));
        Assert.True(Directory.Exists(link));
        Assert.True(Directory.Exists(outside));
    }

    [Fact]
    public async Task HomeOfAnotherUser_IsLeftAlone()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only a privileged user could delete what is another's");
        var root = Directory.CreateDirectory(Path.Combine(_directory, "root")).FullName;
        var home = Directory.CreateDirectory(Path.Combine(root, "deeprecall-other")).FullName;
        await File.WriteAllTextAsync(Path.Combine(home, "lock"), string.Empty, Token);
        using (var give = System.Diagnostics.Process.Start("chown", ["-R", "12345", home]))
        {
            await give.WaitForExitAsync(Token);
            Assert.Equal(0, give.ExitCode);
        }

        await using var repl = await TestRepl.StartAsync(new LocalSandbox(new LocalSandboxOptions { ScratchRoot = root }));
        Assert.True(Directory.Exists(home));
    }

    [Fact]
    public async Task ScratchRootThatIsGone_FailsTheStart_AndNotTheNextOne()
    {
        var root = Directory.CreateDirectory(Path.Combine(_directory, "root")).FullName;
        var sandbox = new LocalSandbox(new LocalSandboxOptions { ScratchRoot = root });
        Directory.Delete(root);
        var error = await Assert.ThrowsAsync<SandboxException>(() => sandbox.StartAsync(Request, Token));
        Assert.Contains(root, error.Message, StringComparison.Ordinal);
        Directory.CreateDirectory(root);
        await using var process = await sandbox.StartAsync(Request, Token);
        Assert.False(process.Exited.IsCompleted);
    }

    [Theory]
    [InlineData("child = subprocess.Popen(['sleep', '600'])")]
    [InlineData("child = subprocess.Popen(['sleep', '600'], start_new_session=True)")]
    [InlineData("child = subprocess.Popen(['sh', '-c', 'trap \"\" INT TERM HUP; sleep 600; sleep 600'])")]
    public async Task ProcessesThatACellStarted_AreDeadAfterDispose(string code)
    {
        var repl = await TestRepl.StartAsync(SandboxWithProcesses());
        await repl.PrintAsync($"import subprocess\n{code}");
        var child = (await repl.ValueAsync("child.pid")).GetInt32();
        Assert.True(LocalProcesses.IsAlive(child));
        await repl.DisposeAsync();
        await LocalProcesses.WaitForEndAsync(child);
    }

    [Theory]
    [InlineData("False")]
    [InlineData("True")]
    public async Task ProcessesOfAWorkerThatDied_AreDeadToo(string ownSession)
    {
        var repl = await TestRepl.StartAsync(SandboxWithProcesses());
        await repl.PrintAsync($"import os, subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session={ownSession})");
        var child = (await repl.ValueAsync("child.pid")).GetInt32();
        await repl.RunAsync("os._exit(1)");
        await repl.DisposeAsync();
        try
        {
            await LocalProcesses.WaitForEndAsync(child);
        }
        finally
        {
            KillOwn(child);
        }
    }

    [Theory]
    [InlineData(true, "{}")] // found below the worker, which adopts it
    [InlineData(false, "dict(os.environ)")] // found by its scratch directory
    public async Task OrphanThatLeftTheGroup_IsDeadAfterDispose(bool isConfined, string environment)
    {
        var repl = await TestRepl.StartAsync(isConfined ? SandboxWithProcesses() : FreeSandbox());
        await repl.PrintAsync($"""
            import os
            ends = os.pipe()
            child = os.fork()
            if child == 0:
                os.setsid()
                orphan = os.fork()
                if orphan == 0:
                    os.execve("/bin/sleep", ["sleep", "600"], {environment})
                os.write(ends[1], str(orphan).encode())
                os._exit(0)
            _ = os.waitpid(child, 0)
            orphan = int(os.read(ends[0], 100))
            """);
        var orphan = (await repl.ValueAsync("orphan")).GetInt32();
        try
        {
            Assert.True(LocalProcesses.IsAlive(orphan));
            while (await File.ReadAllTextAsync($"/proc/{orphan}/comm", TestContext.Current.CancellationToken) != "sleep\n")
            {
                await Task.Delay(5, TestContext.Current.CancellationToken); // in the midst of becoming another program it has no environment to be found by
            }

            await repl.DisposeAsync();
            await LocalProcesses.WaitForEndAsync(orphan);
        }
        finally
        {
            KillOwn(orphan);
        }
    }

    [Fact]
    public async Task ForkBomb_EndsWithItsSandbox()
    {
        var repl = await TestRepl.StartAsync(SandboxWithProcesses());

        // As far as a test may go: 63 children that would stay for ten minutes.
        await repl.PrintAsync("""
            import os, time
            main, pids = os.getpid(), os.path.abspath("pids")
            open(pids, "w").close()
            for level in range(6):
                os.fork()
            if os.getpid() != main:
                with open(pids, "a") as file:
                    file.write(f"{os.getpid()}\n")
                time.sleep(600)
            while len(open(pids).readlines()) < 63:
                time.sleep(0.01)
            """);
        var children = (await repl.ValueAsync("[int(line) for line in open(pids)]")).EnumerateArray().Select(child => child.GetInt32()).ToArray();
        Assert.Equal(63, children.Length);
        await repl.DisposeAsync();
        foreach (var child in children)
        {
            await LocalProcesses.WaitForEndAsync(child);
        }
    }

    [Fact]
    public async Task Dispose_MayBeCalledTwiceAndFromManyThreads()
    {
        var process = await Sandbox().StartAsync(Request, Token);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () => await process.DisposeAsync(), Token)));
        await process.DisposeAsync();
        Assert.True(process.Exited.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task ProcessThatIsKilledWhileItIsDisposed_IsNoError()
    {
        for (var round = 0; round < 5; round++)
        {
            var process = (LocalProcess)await Sandbox().StartAsync(Request, Token);
            var id = process.Id;
            var killing = Task.Run(
                async () =>
                {
                    while (!process.Exited.IsCompleted)
                    {
                        await process.KillAsync(Token);
                    }
                },
                Token);
            await process.DisposeAsync();
            await killing;
            await process.KillAsync(Token);
            Assert.Equal(id, process.Id);
        }
    }

    [Fact]
    public async Task SessionDisposedTwice_IsHarmless()
    {
        var repl = await TestRepl.StartAsync(Sandbox());
        await repl.DisposeAsync();
        await repl.DisposeAsync();
    }

    [Fact]
    public async Task KilledProcess_TellsItsSignal()
    {
        await using var process = await Sandbox().StartAsync(Request, Token);
        await process.KillAsync(Token);
        var exit = await process.Exited.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal((null, 9), (exit.ExitCode, exit.Signal));
        Assert.True(await process.InterruptAsync(Token));
        await process.KillAsync(Token);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("../x")]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData("/etc/passwd")]
    [InlineData("a b")]
    [InlineData("a\0")]
    [InlineData("é")]
    public async Task UploadName_IsALetterDigitDotHyphenOrUnderscore(string name)
    {
        await using var process = await Sandbox().StartAsync(Request, Token);
        var error = await Assert.ThrowsAsync<ArgumentException>(() => process.UploadAsync(name, (_, _) => Task.CompletedTask, Token));
        Assert.Equal("name", error.ParamName);
    }

    [Fact]
    public async Task Upload_IsAFileInTheScratchDirectory()
    {
        await using var process = await Sandbox().StartAsync(Request, Token);
        byte[] bytes = [0, 255, 13, 10, 26];
        var path = await process.UploadAsync("data_1-a.bin", async (stream, token) => await stream.WriteAsync(bytes, token), Token);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(path, Token));
        await process.UploadAsync("data_1-a.bin", (_, _) => Task.CompletedTask, Token);
        Assert.Empty(await File.ReadAllBytesAsync(path, Token));
    }

    [Theory]
    [InlineData(false, "1")]
    [InlineData(true, "0")]
    public async Task SitePackages_AreThereWhenTheOptionSaysSo(bool use, string noSite)
    {
        await using var repl = await TestRepl.StartAsync(new LocalSandbox(new LocalSandboxOptions { UseSitePackages = use }));
        Assert.Equal($"{noSite} 1 {use}\n", await repl.PrintAsync("import sys\nprint(int(sys.flags.no_site), sys.flags.isolated, any('site-packages' in p or 'dist-packages' in p for p in sys.path))"));
    }

    [Fact]
    public async Task ManySandboxes_StartAtTheSameTime()
    {
        var sandbox = Sandbox();
        var outputs = await Task.WhenAll(Enumerable.Range(0, 10).Select(async number =>
        {
            await using var repl = await TestRepl.StartAsync(sandbox);
            return await repl.PrintAsync($"print({number})");
        }));
        Assert.Equal(Enumerable.Range(0, 10).Select(number => $"{number}\n"), outputs);
    }

    [Fact]
    public async Task OptionsChangedLater_DoNotReachTheSandbox()
    {
        var options = new LocalSandboxOptions();
        var sandbox = new LocalSandbox(options);
        options.PythonPath = "/no/such/python";
        await using var repl = await TestRepl.StartAsync(sandbox);
        Assert.Equal("up\n", await repl.PrintAsync("print('up')"));
    }

    private static void KillOwn(int processId)
    {
        if (LocalProcesses.IsAlive(processId))
        {
            using var process = System.Diagnostics.Process.GetProcessById(processId);
            process.Kill();
        }
    }

    private static async Task<SandboxException> FailAsync(string python) =>
        await Assert.ThrowsAsync<SandboxException>(() => new LocalSandbox(new LocalSandboxOptions { PythonPath = python }).StartAsync(Request, Token));

    private LocalSandbox Sandbox() => new(new LocalSandboxOptions { ScratchRoot = _directory });

    private LocalSandbox SandboxWithProcesses() => new(new LocalSandboxOptions { ScratchRoot = _directory, AllowSubprocesses = true });

    /// <summary>Without confinement, code can do more harm to its directory.</summary>
    private LocalSandbox FreeSandbox() => new(new LocalSandboxOptions { ScratchRoot = _directory, Isolation = LocalIsolation.None });

    private async Task<string> WriteScriptAsync(string script)
    {
        var path = Path.Combine(_directory, "python");
        await File.WriteAllTextAsync(path, $"#!/bin/sh\n{script}\n", Token);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }
}
