using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace DeepRecall.Sandboxes.Tests.Local;

/// <summary>What holds is told, and what does not is told with its reason or refused.</summary>
public sealed class IsolationTests
{
    private static readonly string[] AllParts = ["files", "metadata", "network", "processes", "signals", "kernel", "privileges", "inspection", "descriptors", "limits"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>A mechanism that is hidden, and the parts that are missing then.</summary>
    public static TheoryData<string, string[]> Mechanisms => new()
    {
        { "landlock_create_ruleset", ["files"] },
        { "landlock_restrict_self", ["files"] },
        { "seccomp", ["metadata", "network", "processes", "signals", "kernel", "limits"] },
        { "capset", ["privileges"] },
        { "prctl", ["privileges", "inspection"] },
        { "prlimit", ["limits"] },
        { "/proc", ["metadata", "network", "processes", "signals", "kernel", "privileges", "limits"] },
        { "_ctypes", ["files", "metadata", "network", "processes", "signals", "kernel", "privileges", "inspection", "limits"] },
    };

    [Fact]
    public async Task EveryPart_HoldsHere()
    {
        var isolation = await IsolationOfAsync(LocalIsolation.Required);
        Assert.True(isolation.IsComplete);
        Assert.Equal(AllParts, isolation.Parts.Where(part => !part.IsExtra).Select(part => part.Name));
        Assert.All(isolation.Parts, part => Assert.True(part.IsHeld || part.IsExtra, part.ToString()));
        Assert.StartsWith("complete: files, ", isolation.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Mechanisms))]
    public async Task MechanismThatIsMissing_IsReportedByPreferred(string mechanism, string[] parts)
    {
        var sandbox = Sandbox(LocalIsolation.Preferred, mechanism);
        await using var repl = await TestRepl.StartAsync(sandbox);
        Assert.Equal("up\n", await repl.PrintAsync("print('up')"));
        var isolation = repl.Session.Isolation!;
        Assert.False(isolation.IsComplete);
        foreach (var name in parts)
        {
            var part = isolation.Parts.Single(part => part.Name == name);
            Assert.False(part.IsHeld, part.ToString());
            Assert.NotEmpty(part.Detail);
            Assert.Contains($"{name} ({part.Detail})", isolation.ToString(), StringComparison.Ordinal);
        }

        Assert.Equal(isolation.ToString(), (await sandbox.GetIsolationAsync(Token))!.ToString());
    }

    [Theory]
    [MemberData(nameof(Mechanisms))]
    public async Task MechanismThatIsMissing_IsRefusedByRequired(string mechanism, string[] parts)
    {
        var root = Directory.CreateTempSubdirectory("deeprecall-test-").FullName;
        try
        {
            var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(Sandbox(LocalIsolation.Required, mechanism, root)));
            Assert.Contains("LocalSandboxOptions.Isolation is Required", error.Message, StringComparison.Ordinal);
            Assert.All(parts, part => Assert.Contains($"{part} (", error.Message, StringComparison.Ordinal));
            Assert.Contains(Reason(mechanism), error.Message, StringComparison.Ordinal);

            // Nothing is left of the process that was refused.
            Assert.Empty(Directory.EnumerateDirectories(root, "scratch-*", SearchOption.AllDirectories));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Fact]
    public async Task DescriptorsAreClosed_WithoutTheCallForIt()
    {
        var isolation = await IsolationOfAsync(LocalIsolation.Required, "close_range");
        Assert.True(isolation.Parts.Single(part => part.Name == "descriptors").IsHeld);
    }

    [Fact]
    public async Task Namespaces_AreAnExtra_AndThereWhereTheMachineAllowsThem()
    {
        var with = (await IsolationOfAsync(LocalIsolation.Required)).Parts.Single(part => part.Name == "namespaces");
        Assert.True(with.IsExtra);
        Assert.True(with.IsHeld || with.Detail is "Operation not permitted" or "No space left on device", with.ToString());

        var without = await IsolationOfAsync(LocalIsolation.Required, "unshare");
        Assert.True(without.IsComplete);
        Assert.False(without.Parts.Single(part => part.Name == "namespaces").IsHeld);
    }

    [Fact]
    public async Task Process_IsInNamespacesOfItsOwn()
    {
        var sandbox = Sandbox(LocalIsolation.Required);
        await using var process = (LocalProcess)await sandbox.StartAsync(new SandboxStartRequest { WorkerSource = "import sys\ndef main(nonce):\n    sys.stdin.read()", Nonce = "n" }, Token);
        Assert.SkipUnless(process.Isolation!.Parts.Single(part => part.Name == "namespaces").IsHeld, "This machine allows no namespaces.");
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root sees the namespaces of a process that cannot be inspected.");
        Assert.All((string[])["net", "ipc", "uts"], kind => Assert.NotEqual(
            new FileInfo($"/proc/self/ns/{kind}").LinkTarget,
            new FileInfo($"/proc/{process.Id}/ns/{kind}").LinkTarget));
    }

    [Fact]
    public async Task None_SaysThatThereIsNoConfinement()
    {
        var isolation = await IsolationOfAsync(LocalIsolation.None);
        Assert.False(isolation.IsComplete);
        Assert.Contains("missing: confinement (LocalSandboxOptions.Isolation is None", isolation.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatIsAllowed_IsNotMissing()
    {
        var sandbox = new LocalSandbox(new LocalSandboxOptions { Isolation = LocalIsolation.Required, AllowNetwork = true, AllowSubprocesses = true });
        var isolation = (await sandbox.GetIsolationAsync(Token))!;
        Assert.True(isolation.IsComplete);
        Assert.Equal("allowed by LocalSandboxOptions.AllowNetwork", isolation.Parts.Single(part => part.Name == "network").Detail);
        Assert.Equal("allowed by LocalSandboxOptions.AllowSubprocesses", isolation.Parts.Single(part => part.Name == "processes").Detail);
    }

    [Fact]
    public async Task TheKernel_ShowsWhatWasReported()
    {
        var sandbox = Sandbox(LocalIsolation.Required);
        await using var process = (LocalProcess)await sandbox.StartAsync(new SandboxStartRequest { WorkerSource = "import sys\ndef main(nonce):\n    sys.stdin.read()", Nonce = "n" }, Token);
        var status = await File.ReadAllLinesAsync($"/proc/{process.Id}/status", Token);
        Assert.Contains("NoNewPrivs:\t1", status);
        Assert.Contains("Seccomp:\t2", status);
        Assert.Contains("CapEff:\t0000000000000000", status);
        Assert.Contains("CapPrm:\t0000000000000000", status);
        Assert.Contains("CapInh:\t0000000000000000", status);
    }

    [Fact]
    public async Task Isolation_IsOnTheTrajectory_AndWhatIsMissingIsLoggedOnce()
    {
        var logger = new FakeLogger<DeepRecallChatClient>();
        using var loggers = LoggerFactory.Create(builder => builder.Services.AddSingleton<ILoggerProvider>(new OneLogger(logger)));
        var options = new DeepRecallOptions { Sandbox = Sandbox(LocalIsolation.Preferred, "seccomp") };
        using var client = new DeepRecallChatClient(new ScriptedChatClient(_ => "```repl\nFINAL('done')\n```"), options, loggers);
        var first = await client.GetResponseAsync("Is it isolated?", cancellationToken: Token);
        await client.GetResponseAsync("And now?", cancellationToken: Token);

        var isolation = first.GetTrajectory()!.Isolation!;
        Assert.False(isolation.IsComplete);
        Assert.True(isolation.Parts.Single(part => part.Name == "files").IsHeld);
        var warning = Assert.Single(logger.Collector.GetSnapshot(), record => record.Level == LogLevel.Warning);
        Assert.Contains("network (Function not implemented)", warning.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("import threading, time; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()", "threads ran before the confinement")]
    [InlineData("import os; os.dup2(os.open(os.devnull, os.O_WRONLY), 2)", "closed its standard error before it said how it is confined")]
    public async Task WhatAnInstalledPackageDoesBeforeTheConfinement_IsNotTakenForConfined(string start, string reason)
    {
        // A virtual environment, one of whose packages runs code whenever Python starts.
        var root = Directory.CreateTempSubdirectory("deeprecall-test-");
        try
        {
            var packages = root.CreateSubdirectory($"lib/python{await VersionAsync()}/site-packages").FullName;
            var python = Path.Combine(root.CreateSubdirectory("bin").FullName, "python3");
            var real = (await LocalSandbox.ResolveAsync(null)).Executable;
            File.CreateSymbolicLink(python, real);
            await File.WriteAllTextAsync(Path.Combine(root.FullName, "pyvenv.cfg"), $"home = {Path.GetDirectoryName(real)}\ninclude-system-site-packages = false\n", Token);
            await File.WriteAllTextAsync(Path.Combine(packages, "busy.pth"), start + "\n", Token);

            LocalSandboxOptions Options(bool useSitePackages) => new() { Isolation = LocalIsolation.Required, PythonPath = python, UseSitePackages = useSitePackages, ScratchRoot = root.FullName };
            Assert.True((await new LocalSandbox(Options(false)).GetIsolationAsync(Token))!.IsComplete);
            var error = await Assert.ThrowsAsync<SandboxException>(() => new LocalSandbox(Options(true)).GetIsolationAsync(Token));
            Assert.True(error.Message.Contains(reason, StringComparison.Ordinal), error.Message);
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    private static string Reason(string mechanism) => mechanism switch
    {
        "_ctypes" => "this Python has no _ctypes module",
        "/proc" => "/proc does not show this host",
        _ => "Function not implemented",
    };

    private static async Task<string> VersionAsync()
    {
        await using var repl = await TestRepl.StartAsync(new LocalSandbox());
        return (await repl.PrintAsync("import sys\nprint('.'.join(map(str, sys.version_info[:2])))")).Trim();
    }

    private static LocalSandbox Sandbox(LocalIsolation isolation, string? hidden = null, string? root = null)
    {
        var options = new LocalSandboxOptions { Isolation = isolation, ScratchRoot = root };
        if (hidden is not null)
        {
            options.HiddenMechanisms.Add(hidden);
        }

        return new LocalSandbox(options);
    }

    private static async Task<SandboxIsolation> IsolationOfAsync(LocalIsolation isolation, string? hidden = null) =>
        (await Sandbox(isolation, hidden).GetIsolationAsync(Token))!;

    private sealed class OneLogger(ILogger logger) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => logger;

        public void Dispose()
        {
        }
    }
}
