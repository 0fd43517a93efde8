using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>What can be told without an engine.</summary>
public sealed class DockerSandboxOptionsTests
{
    public static TheoryData<string, Action<DockerSandboxOptions>, string> BadOptions => new()
    {
        { "Image", options => options.Image = " ", "' '" },
        { "Endpoint", options => options.Endpoint = "/var/run/docker.sock", "unix:///path" },
        { "Endpoint", options => options.Endpoint = "ssh://host", "'ssh://host'" },
        { "PythonPath", options => options.PythonPath = string.Empty, "python3" },
        { "MemoryMB", options => options.MemoryMB = 63, "'63'; it must be at least 64" },
        { "Cpus", options => options.Cpus = 0, "at least 0.01" },
        { "Cpus", options => options.Cpus = double.NaN, "'NaN'" },
        { "PidsLimit", options => options.PidsLimit = -1, "'-1'; it must be at least 8" },
        { "ScratchMB", options => options.ScratchMB = 0, "at least 1" },
        { "Network", options => options.Network = string.Empty, "name a network" },
        { "User", options => options.User = string.Empty, "65534:65534" },
        { "Runtime", options => options.Runtime = " ", "name a runtime" },
        { "PullPolicy", options => options.PullPolicy = (DockerPullPolicy)9, "Missing, Always or Never" },
        { "Uploads", options => options.Uploads = (DockerUploadMode)9, "Automatic, Bind or Volume" },
        { "StopTimeout", options => options.StopTimeout = TimeSpan.Zero, "more than zero" },
        { "Mounts", options => options.Mounts["data"] = "/srv/data", "'data=/srv/data'" },
        { "Mounts", options => options.Mounts["/data"] = " ", "map a path" },
        { "Mounts", options => options.Mounts["/tmp/"] = "/srv/data", "to the sandbox" },
        { "Mounts", options => options.Mounts["/deeprecall"] = "/srv/data", "to the sandbox" },
        { "Labels", options => options.Labels["deeprecall.host"] = "x", "do not begin with deeprecall." },
    };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(BadOptions))]
    public void BadOption_IsRefusedByName(string option, Action<DockerSandboxOptions> set, string expected)
    {
        var options = new DockerSandboxOptions();
        set(options);
        var error = Assert.Throws<ArgumentException>(() => new DockerSandbox(options));
        Assert.Contains($"DockerSandboxOptions.{option} ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SeveralBadOptions_AreToldTogether()
    {
        var error = Assert.Throws<ArgumentException>(() => new DockerSandbox(new DockerSandboxOptions { MemoryMB = 1, PidsLimit = 1 }));
        Assert.Contains("MemoryMB", error.Message, StringComparison.Ordinal);
        Assert.Contains("PidsLimit", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Defaults_AreTheSafeOnes()
    {
        var container = DockerContainer.Describe(new DockerSandboxOptions(), "x", null);
        var host = container.HostConfig!;
        Assert.Equal(("python:3.12-slim", "65534:65534", true), (container.Image, container.User, container.NetworkDisabled));
        Assert.Equal(("none", true), (host.NetworkMode, host.ReadonlyRootfs));
        Assert.Equal(["ALL"], host.CapDrop);
        Assert.Equal(["no-new-privileges"], host.SecurityOpt);
        Assert.Equal((2048L << 20, 2048L << 20, 1_000_000_000L, 128L), (host.Memory, host.MemorySwap, host.NanoCPUs, host.PidsLimit!.Value));
        Assert.False(host.Privileged);
        Assert.Null(host.CapAdd);
        Assert.Null(host.Runtime);
    }

    [Fact]
    public void Description_SaysWhatTheOptionsAllow()
    {
        var text = new DockerSandbox(new DockerSandboxOptions { Image = "mine/science:1", MemoryMB = 512, Network = "bridge", ScratchMB = 7 }).Description;
        Assert.Contains("mine/science:1", text, StringComparison.Ordinal);
        Assert.Contains("the network 'bridge'", text, StringComparison.Ordinal);
        Assert.Contains("512 MiB", text, StringComparison.Ordinal);
        Assert.Contains("/tmp, 7 MiB", text, StringComparison.Ordinal);
        Assert.Contains("no network", new DockerSandbox().Description, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("unix:///no/such/engine.sock")]
    [InlineData("tcp://127.0.0.1:1")]
    public async Task EngineThatIsNotThere_IsSaidToBe(string endpoint)
    {
        var sandbox = new DockerSandbox(new DockerSandboxOptions { Endpoint = endpoint });
        var request = new SandboxStartRequest { WorkerSource = "x", Nonce = "x" };
        foreach (var ask in (Func<Task>[])[() => sandbox.StartAsync(request, Token), () => sandbox.CheckHealthAsync(Token), () => sandbox.StartAsync(request, Token)])
        {
            var error = await Assert.ThrowsAsync<SandboxException>(ask);
            Assert.Contains(endpoint, error.Message, StringComparison.Ordinal);
            Assert.Contains("cannot be reached", error.Message, StringComparison.Ordinal);
            Assert.Contains("DockerSandboxOptions.Endpoint", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task CancelledToken_StartsNothing()
    {
        var sandbox = new DockerSandbox(new DockerSandboxOptions { Endpoint = "unix:///no/such/engine.sock" });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sandbox.StartAsync(new SandboxStartRequest { WorkerSource = "x", Nonce = "x" }, new CancellationToken(true)));
    }
}
