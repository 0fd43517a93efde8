using System.Diagnostics;
using System.Runtime.Versioning;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxing;
using DeepRecall.Trajectory;
using Docker.DotNet.Models;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>What only this environment does, on a real engine.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class DockerSandboxTests : IAsyncDisposable
{
    private static readonly SandboxStartRequest Waiting = new() { WorkerSource = "import time\ndef main(nonce):\n    time.sleep(600)", Nonce = "x" };

    private readonly string _mark = Guid.NewGuid().ToString("N");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await TestEngine.AssertNothingLeftAsync(_mark);

    [Fact]
    public async Task Container_IsMadeAsTheOptionsSay()
    {
        var options = TestEngine.Options(_mark);
        options.MemoryMB = 100;
        options.Cpus = 0.5;
        options.PidsLimit = 33;
        options.ScratchMB = 5;
        options.User = "1234:4321";
        options.Mounts["/data"] = AppContext.BaseDirectory;
        await using var process = (DockerProcess)await new DockerSandbox(options).StartAsync(Waiting, Token);
        using var client = TestEngine.Client();
        var container = await client.Containers.InspectContainerAsync(process.Id, Token);
        Assert.Equal("1234:4321", container.Config!.User);
        Assert.Equal(_mark, container.Config.Labels[TestEngine.MarkLabel]);
        Assert.Equal(DockerHostIdentity.Current, container.Config.Labels["deeprecall.host"]);
        Assert.Equal((100L << 20, 100L << 20, 500_000_000L, 33L), (container.HostConfig!.Memory, container.HostConfig.MemorySwap, container.HostConfig.NanoCPUs, container.HostConfig.PidsLimit!.Value));
        Assert.Equal(("none", "none"), (container.HostConfig.NetworkMode, container.HostConfig.LogConfig.Type));
        Assert.All(container.Mounts!, mount => Assert.False(mount.RW, mount.Destination));
        Assert.Contains("/data", container.Mounts!.Select(mount => mount.Destination));
    }

    [Fact]
    public async Task MountedDirectory_CanBeReadAndNotWritten()
    {
        var directory = Directory.CreateTempSubdirectory("deeprecall-test-").FullName;
        try
        {
            File.SetUnixFileMode(directory, (UnixFileMode)0b111_111_111);
            await File.WriteAllTextAsync(Path.Combine(directory, "a.txt"), "from the host", Token);
            var options = TestEngine.Options(_mark);
            options.Mounts["/data"] = directory;
            await using var repl = await TestRepl.StartAsync(new DockerSandbox(options));
            Assert.Equal("from the host\n", await repl.PrintAsync("print(open('/data/a.txt').read())"));
            Assert.Equal("OSError", (await repl.RunAsync("open('/data/b.txt', 'w')")).ErrorType);
            Assert.Single(Directory.EnumerateFileSystemEntries(directory));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task OptionsChangedLater_DoNotReachTheSandbox()
    {
        var options = TestEngine.Options(_mark);
        var sandbox = new DockerSandbox(options);
        options.Image = "no/such:image";
        options.Labels.Clear();
        await using var process = await sandbox.StartAsync(Waiting, Token);
        Assert.Single(await TestEngine.ContainersAsync(_mark));
    }

    [Theory]
    [InlineData(DockerPullPolicy.Never, "is not there, and DockerSandboxOptions.PullPolicy is Never")]
    [InlineData(DockerPullPolicy.Missing, "could not pull the image 'localhost:1/no/such:image'")]
    [InlineData(DockerPullPolicy.Always, "could not pull the image 'localhost:1/no/such:image'")]
    public async Task ImageThatIsNotThere_IsSaidToBeWithWhatToDo(DockerPullPolicy policy, string expected)
    {
        var options = TestEngine.Options(_mark);
        options.Image = "localhost:1/no/such:image";
        options.PullPolicy = policy;
        var sandbox = new DockerSandbox(options);
        Assert.False((await sandbox.CheckHealthAsync(Token)).ImageIsThere);
        var error = await Assert.ThrowsAsync<SandboxException>(() => sandbox.StartAsync(Waiting, Token));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Contains("docker load", error.Message, StringComparison.Ordinal);
        if (policy != DockerPullPolicy.Never)
        {
            Assert.Contains("connection refused", error.Message, StringComparison.Ordinal); // the engine's own words
        }
    }

    [Fact]
    public async Task RuntimeThatTheEngineDoesNotKnow_IsSaidToBe()
    {
        var options = TestEngine.Options(_mark);
        options.Runtime = "no-such-runtime";
        var error = await Assert.ThrowsAsync<SandboxException>(() => new DockerSandbox(options).StartAsync(Waiting, Token));
        Assert.Contains("no-such-runtime", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ImageWithoutPython_IsSaidToHaveNone()
    {
        var options = TestEngine.Options(_mark);
        options.PythonPath = "python9";
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(new DockerSandbox(options)));
        Assert.Contains("python9", error.Message, StringComparison.Ordinal);
        Assert.Contains("No such file", error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Health_TellsTheEngineAndTheImage()
    {
        var health = await new DockerSandbox(TestEngine.Options(_mark)).CheckHealthAsync(Token);
        Assert.True(System.Version.TryParse(health.EngineVersion.Split('+')[0], out _), health.EngineVersion);
        Assert.True(health.ImageIsThere);
    }

    [Fact]
    public async Task MemoryThatRunsOut_IsTheReasonInTheReport()
    {
        var options = TestEngine.Options(_mark);
        options.MemoryMB = 96;
        await using var repl = await TestRepl.StartAsync(new DockerSandbox(options), ContextContent.FromText("the context"));

        // One process that asks for too much is told so, and goes on.
        Assert.Equal("MemoryError", (await repl.RunAsync("kept = 1\nblock = b'x' * 200_000_000")).ErrorType);
        Assert.Equal("1\n", await repl.PrintAsync("print(kept)"));

        // What is shared with nobody's limit is the container's, and its end.
        var result = await repl.RunAsync("import mmap\nblock = mmap.mmap(-1, 300_000_000)\nfor i in range(0, len(block), 4096):\n    block[i] = 1");
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("signal 9", result.Error, StringComparison.Ordinal);
        Assert.Contains("memory ran out (96 MiB, DockerSandboxOptions.MemoryMB)", result.Error, StringComparison.Ordinal);
        Assert.Equal("the context\n", await repl.PrintAsync("print(context)"));
    }

    [Fact]
    public async Task ContainerThatSomebodyKills_IsReplaced()
    {
        await using var repl = await TestRepl.StartAsync(new DockerSandbox(TestEngine.Options(_mark)), ContextContent.FromText("the context"));
        var cell = repl.RunAsync("print('working', flush=True)\nwhile True:\n    pass");
        using var client = TestEngine.Client();
        await client.Containers.KillContainerAsync(Assert.Single(await TestEngine.ContainersAsync(_mark)).ID, new ContainerKillParameters(), Token);
        var result = await cell;
        Assert.Equal(CellStatus.Died, result.Status);
        Assert.Contains("signal 9", result.Error, StringComparison.Ordinal);
        Assert.Equal("the context\n", await repl.PrintAsync("print(context)"));
    }

    [Fact]
    public async Task EngineThatDoesNotSeeThisMachinesFiles_IsSentThem()
    {
        await using var proxy = new EngineProxy(hidesFiles: true);
        var options = TestEngine.Options(_mark, proxy.Endpoint);
        var sandbox = new DockerSandbox(options);
        foreach (var text in (string[])[new('a', 300_000), new('b', 300_000)])
        {
            await using var repl = await TestRepl.StartAsync(sandbox, ContextContent.FromText(text));
            Assert.Equal($"{text[0]} 300000\n", await repl.PrintAsync("print(context[0], len(context))"));
            using var client = TestEngine.Client();
            var container = await client.Containers.InspectContainerAsync(Assert.Single(await TestEngine.ContainersAsync(_mark)).ID, Token);
            Assert.Equal("volume", Assert.Single(container.Mounts!).Type);
        }

        options.Uploads = DockerUploadMode.Bind;
        var error = await Assert.ThrowsAsync<SandboxException>(() => new DockerSandbox(options).StartAsync(Waiting, Token));
        Assert.Contains("/uploads", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task VolumeOfAContainer_GoesWithIt()
    {
        var options = TestEngine.Options(_mark);
        options.Uploads = DockerUploadMode.Volume;
        using var client = TestEngine.Client();
        string volume;
        await using (var repl = await TestRepl.StartAsync(new DockerSandbox(options), ContextContent.FromText(new string('x', 200_000))))
        {
            var container = await client.Containers.InspectContainerAsync(Assert.Single(await TestEngine.ContainersAsync(_mark)).ID, Token);
            volume = Assert.Single(container.Mounts!).Name!;
            Assert.Contains(await VolumesAsync(), name => name == volume);
        }

        Assert.DoesNotContain(await VolumesAsync(), name => name == volume);

        async Task<IEnumerable<string>> VolumesAsync() => ((await client.Volumes.ListAsync(Token)).Volumes ?? []).Select(each => each.Name);
    }

    [Fact]
    public async Task UploadedFiles_AreNotLeftOnTheHost()
    {
        var process = await new DockerSandbox(TestEngine.Options(_mark)).StartAsync(Waiting, Token);
        using var client = TestEngine.Client();
        var directory = (await client.Containers.InspectContainerAsync(((DockerProcess)process).Id, Token)).Mounts!.Single().Source;
        await process.UploadAsync("context_0", (stream, token) => stream.WriteAsync("secret"u8.ToArray(), token).AsTask(), Token);
        Assert.Equal("secret", await File.ReadAllTextAsync(Path.Combine(directory, "context_0"), Token));

        // The container's user may read it; on this machine only who may enter the directory above.
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.GetDirectoryName(directory)!));
        await process.DisposeAsync();
        Assert.False(Directory.Exists(directory));
    }

    [Fact]
    public async Task HostThatIsCutOff_TakesItsWorkerWithIt()
    {
        await using var proxy = new EngineProxy();
        var options = TestEngine.Options(_mark, proxy.Endpoint);
        options.StopTimeout = TimeSpan.FromSeconds(1);
        var repl = await TestRepl.StartAsync(new DockerSandbox(options));
        var cell = repl.RunAsync("print('working', flush=True)\nwhile True:\n    pass");
        await Task.Delay(300, Token);
        proxy.Cut();

        // The engine is out of reach for the host, which gets an error and not a hang.
        await Assert.ThrowsAsync<SandboxException>(() => cell.WaitAsync(TimeSpan.FromSeconds(30), Token));
        var started = Stopwatch.GetTimestamp();
        await repl.DisposeAsync();
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(15));

        // The worker's input ended with the connection, and so did the worker, in the middle of its cell.
        for (var attempt = 0; attempt < 100 && (await TestEngine.ContainersAsync(_mark)).Any(container => container.State == "running"); attempt++)
        {
            await Task.Delay(100, Token);
        }

        var left = Assert.Single(await TestEngine.ContainersAsync(_mark));
        Assert.Equal("exited", left.State);
        using var client = TestEngine.Client();
        await client.Containers.RemoveContainerAsync(left.ID, new ContainerRemoveParameters { Force = true, RemoveVolumes = true }, Token);
    }

    [Fact]
    public async Task EngineThatHangsWhileAProcessIsDisposed_DelaysItByTheStopTimeoutOnly()
    {
        await using var proxy = new EngineProxy();
        var options = TestEngine.Options(_mark, proxy.Endpoint);
        options.StopTimeout = TimeSpan.FromMilliseconds(300);
        var process = (DockerProcess)await new DockerSandbox(options).StartAsync(Waiting, Token);
        using var client = TestEngine.Client();
        await client.Containers.PauseContainerAsync(process.Id, Token);
        proxy.Cut();
        await process.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20), Token);
        var exit = await process.Exited.WaitAsync(TimeSpan.FromSeconds(20), Token);
        Assert.Contains("engine", exit.ToString(), StringComparison.Ordinal);
        await client.Containers.RemoveContainerAsync(process.Id, new ContainerRemoveParameters { Force = true, RemoveVolumes = true }, Token);
    }
}
