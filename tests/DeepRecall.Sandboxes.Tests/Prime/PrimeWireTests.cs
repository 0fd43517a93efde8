using System.Text.Json.Nodes;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Prime;
using DeepRecall.Sandboxes.Tests.Cloud;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators;

namespace DeepRecall.Sandboxes.Tests.Prime;

/// <summary>What goes over the wire, and what becomes of the service's errors.</summary>
public sealed class PrimeWireTests : IAsyncLifetime
{
    private readonly PrimeFixture _fixture = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Creation_SendsTheOptionsAndTheLabels()
    {
        var sandbox = _fixture.CreateSandbox(options =>
        {
            options.TeamId = "team";
            options.Image = "python:3.13-slim";
            options.CpuCores = 2;
            options.MemoryGB = 4;
            options.DiskGB = 8;
            options.Timeout = TimeSpan.FromMinutes(90);
            options.EnvVars["GREETING"] = "hi there";
        });
        await using var repl = await TestRepl.StartAsync(sandbox);
        var create = _fixture.Emulator.Requests[0];
        Assert.Equal(("POST", "/api/v1/sandbox", $"Bearer {_fixture.Emulator.ApiKey}"), (create.Method, create.Path, create.Headers["Authorization"]));
        var body = JsonNode.Parse(create.Body)!;
        var start = (string)body["idempotency_key"]!;
        Assert.Equal(
            $$"""{"name":"deeprecall-{{start}}","docker_image":"python:3.13-slim","cpu_cores":2,"memory_gb":4,"disk_size_gb":8,"vm":true,"network_allowlist":[],"timeout_minutes":90,"environment_vars":{"GREETING":"hi there"},"labels":["deeprecall","deeprecall-start-{{start}}"],"team_id":"team","idempotency_key":"{{start}}"}""",
            body.ToJsonString());
        Assert.Equal("hi there None\n", await repl.PrintAsync("import os\nprint(os.environ['GREETING'], os.environ.get('PRIME_API_KEY'))"));
    }

    [Theory]
    [InlineData(false, false, "\"network_allowlist\":[]", "no access")]
    [InlineData(false, true, "\"network_denylist\":[]", "access to the internet")]
    [InlineData(true, false, "\"network_access\":false", "no access")]
    [InlineData(true, true, "\"network_access\":true", "access to the internet")]
    public async Task Egress_IsDeniedUnlessItIsAllowed(bool container, bool allow, string sent, string said)
    {
        var sandbox = _fixture.CreateSandbox(options => (options.Container, options.AllowInternet) = (container, allow));
        await using var repl = await TestRepl.StartAsync(sandbox);
        Assert.Contains(sent, _fixture.Emulator.Requests[0].Body, StringComparison.Ordinal);
        Assert.Equal(2, _fixture.Emulator.Requests[0].Body.Split("\"network_").Length); // one setting, and no other
        Assert.Contains(said, sandbox.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SandboxThatTakesItsTime_IsWaitedFor()
    {
        _fixture.Emulator.PollsUntilRunning = 4;
        await using var repl = await TestRepl.StartAsync(_fixture.CreateSandbox());
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
    }

    [Theory]
    [InlineData("failed to pull image nowhere:latest", SandboxErrorKind.NotFound)]
    [InlineData("node failure", SandboxErrorKind.Server)]
    [InlineData("insufficient balance", SandboxErrorKind.Quota)]
    public async Task SandboxThatEndsInAnError_IsToldAndDeleted(string reason, SandboxErrorKind kind)
    {
        _fixture.Emulator.StartError = reason;
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox()));
        Assert.Equal(kind, error.Kind);
        Assert.Contains($"its status is ERROR ({reason})", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, _fixture.Emulator.Created);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Fact]
    public async Task SandboxThatIsNotThereInTime_IsToldAndDeleted()
    {
        _fixture.Emulator.PollsUntilRunning = int.MaxValue;
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox(options => options.CreationTimeout = TimeSpan.FromMilliseconds(500))));
        Assert.Equal(SandboxErrorKind.Timeout, error.Kind);
        Assert.Contains("PrimeSandboxOptions.CreationTimeout", error.Message, StringComparison.Ordinal);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Theory]
    [InlineData(401, SandboxErrorKind.Authentication, "PRIME_API_KEY")]
    [InlineData(402, SandboxErrorKind.Quota, "Check the balance")]
    [InlineData(403, SandboxErrorKind.Authentication, "403 (Forbidden): said")]
    [InlineData(404, SandboxErrorKind.NotFound, "PrimeSandboxOptions.Image")]
    [InlineData(409, SandboxErrorKind.Conflict, "409 (Conflict): said")]
    [InlineData(422, SandboxErrorKind.BadRequest, "422 (UnprocessableEntity): said")]
    [InlineData(429, SandboxErrorKind.RateLimit, "Start fewer sandboxes")]
    [InlineData(500, SandboxErrorKind.Server, "500 (InternalServerError): said")]
    [InlineData(503, SandboxErrorKind.Server, "503 (ServiceUnavailable): said")]
    public async Task ErrorOfTheApi_IsAnExceptionThatSaysWhatToDo(int status, SandboxErrorKind kind, string expected)
    {
        for (var attempt = 0; attempt < 4; attempt++)
        {
            _fixture.Emulator.FailNext(request => request.Method == "POST" && request.Path == "/api/v1/sandbox", new Fault(FaultKind.Status) { Status = status, Message = "said" });
        }

        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox()));
        Assert.Equal(kind, error.Kind);
        Assert.StartsWith("Prime Intellect could not create a sandbox: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(_fixture.Emulator.ApiKey, error.ToString(), StringComparison.Ordinal);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Fact]
    public async Task CreationWhoseAnswerIsLost_LeavesNoSandbox()
    {
        _fixture.Emulator.FailNext(request => request.Method == "POST" && request.Path == "/api/v1/sandbox", new Fault(FaultKind.CutAfterHeaders));
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox()));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Equal(1, _fixture.Emulator.Created);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Fact]
    public async Task CreationThatNobodyWaitsFor_LeavesNoSandbox()
    {
        _fixture.Emulator.FailNext(request => request.Path == "/api/v1/sandbox", new Fault(FaultKind.Slow) { Delay = TimeSpan.FromSeconds(1.5) });
        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        var request = new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "n" };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _fixture.CreateSandbox().StartAsync(request, impatient.Token));
        var deadline = Environment.TickCount64 + 20_000;
        while (!(_fixture.Emulator.Created == 1 && _fixture.Emulator.Sandboxes.Count == 0) && Environment.TickCount64 < deadline)
        {
            await Task.Delay(20, Token);
        }

        Assert.Equal((1, 0), (_fixture.Emulator.Created, _fixture.Emulator.Sandboxes.Count));
    }

    [Theory]
    [InlineData(false, "/auth", 403, "could not open the sandbox's gateway: 403")]
    [InlineData(false, "/upload", 422, "could not upload a file: 422")]
    [InlineData(false, "/command_session.CommandSession/Start", 403, "could not start Python in the Prime sandbox")]
    [InlineData(true, "/exec", 422, "could not run a command: 422")]
    public async Task StartThatFailsHalfway_DeletesItsSandbox(bool container, string path, int status, string expected)
    {
        _fixture.Emulator.FailNext(request => request.Path.EndsWith(path, StringComparison.Ordinal), new Fault(FaultKind.Status) { Status = status, Message = "no" });
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox(options => options.Container = container)));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, _fixture.Emulator.Created);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Theory]
    [InlineData(false, "/upload")]
    [InlineData(false, "/Start")]
    [InlineData(true, "/exec")]
    public async Task ErrorsThatRepeatTheToken_AreToldWithoutIt(bool container, string path)
    {
        using var handler = new EchoingHandler(path);
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox(options => options.Container = container, handler)));
        Assert.NotEmpty(handler.Secrets);
        Assert.Contains("[redacted]", error.Message, StringComparison.Ordinal);
        Assert.All(handler.Secrets, secret => Assert.DoesNotContain(secret, error.ToString(), StringComparison.Ordinal));
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task DisposedRepl_LeavesNothing(bool container)
    {
        var repl = await TestRepl.StartAsync(_fixture.CreateSandbox(options => options.Container = container));
        var pids = (await repl.PrintAsync("import os, subprocess\nprint(os.getpid(), subprocess.Popen(['sleep', '600'], start_new_session=True).pid)")).Split(' ').Select(int.Parse).ToArray();
        await repl.DisposeAsync();
        await repl.DisposeAsync();
        Assert.Empty(_fixture.Emulator.Sandboxes);
        Assert.All(pids, pid => Assert.False(Directory.Exists($"/proc/{pid}") && !File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Leftovers_AreDeletedByTheirLabelAndAge()
    {
        var sandbox = _fixture.CreateSandbox();
        await using var old = await TestRepl.StartAsync(sandbox);
        _fixture.Emulator.Age(Assert.Single(_fixture.Emulator.Sandboxes), TimeSpan.FromHours(2));
        await using var young = await TestRepl.StartAsync(sandbox);
        Assert.Equal(1, await sandbox.DeleteLeftoversAsync(TimeSpan.FromHours(1), Token));
        Assert.Equal("alive\n", await young.PrintAsync("print('alive')"));
        Assert.Equal(1, await sandbox.DeleteLeftoversAsync(TimeSpan.Zero, Token));
    }

    [Theory]
    [InlineData("ApiKey", "PrimeSandboxOptions.ApiKey is not set, and neither is the environment variable PRIME_API_KEY")]
    [InlineData("BaseUrl", "PrimeSandboxOptions.BaseUrl is 'ftp://x'; an absolute http or https address is needed")]
    [InlineData("Image", "PrimeSandboxOptions.Image is blank")]
    [InlineData("Timeout", "PrimeSandboxOptions.Timeout is 00:01:30; whole minutes from 1 minute to 1.00:00:00 are allowed")]
    [InlineData("CreationTimeout", "PrimeSandboxOptions.CreationTimeout is 00:00:00; more than 0, up to 1.00:00:00, is allowed")]
    [InlineData("CpuCores", "PrimeSandboxOptions.CpuCores is 0; more than 0 is needed")]
    public void OptionThatIsNotAllowed_IsNamed(string option, string expected)
    {
        var options = new PrimeSandboxOptions { ApiKey = option == "ApiKey" ? null : "k" };
        switch (option)
        {
            case "BaseUrl":
                options.BaseUrl = "ftp://x";
                break;
            case "Image":
                options.Image = string.Empty;
                break;
            case "Timeout":
                options.Timeout = TimeSpan.FromSeconds(90);
                break;
            case "CreationTimeout":
                options.CreationTimeout = TimeSpan.Zero;
                break;
            case "CpuCores":
                options.CpuCores = 0;
                break;
        }

        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => PrimeSettings.Resolve(options, _ => null)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, null, "https://api.primeintellect.ai/api/v1")]
    [InlineData("https://corp.example/api/v1/", null, "https://corp.example/api/v1")]
    [InlineData(null, "http://10.0.0.1:8", "http://10.0.0.1:8/api/v1")]
    [InlineData("https://corp.example", "http://10.0.0.1:8", "https://corp.example/api/v1")]
    public void BaseUrl_IsTakenWithAndWithoutItsPath(string? option, string? variable, string expected)
    {
        var settings = PrimeSettings.Resolve(new() { ApiKey = "k", BaseUrl = option }, name => name == "PRIME_BASE_URL" ? variable : null);
        Assert.Equal(expected, settings.BaseUrl.AbsoluteUri);
    }
}
