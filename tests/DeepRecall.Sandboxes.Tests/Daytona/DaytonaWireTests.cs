using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Sandboxes.Daytona;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators.Daytona;

namespace DeepRecall.Sandboxes.Tests.Daytona;

/// <summary>What goes over the wire, and what becomes of the service's errors.</summary>
public sealed class DaytonaWireTests : IAsyncLifetime
{
    private readonly DaytonaFixture _daytona = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private DaytonaEmulator Emulator => _daytona.Emulator;

    public ValueTask InitializeAsync() => _daytona.InitializeAsync();

    public ValueTask DisposeAsync() => _daytona.DisposeAsync();

    [Fact]
    public async Task Creation_SendsTheOptionsAndTheLabels()
    {
        var sandbox = Create(options =>
        {
            options.Image = "python:3.13-slim";
            options.Target = "eu";
            options.Cpu = 2;
            options.MemoryGb = 4;
            options.DiskGb = 5;
            options.AutoStop = TimeSpan.FromMinutes(20);
            options.EnvVars["GREETING"] = "hi there";
        });
        await using var repl = await TestRepl.StartAsync(sandbox);
        var body = Emulator.Newest;
        Assert.Equal("FROM python:3.13-slim\n", body.GetProperty("buildInfo").GetProperty("dockerfileContent").GetString());
        Assert.Equal(("eu", 2, 4, 5), (body.GetProperty("target").GetString(), body.GetProperty("cpu").GetInt32(), body.GetProperty("memory").GetInt32(), body.GetProperty("disk").GetInt32()));
        Assert.Equal((20, 0, true), (body.GetProperty("autoStopInterval").GetInt32(), body.GetProperty("autoDeleteInterval").GetInt32(), body.GetProperty("networkBlockAll").GetBoolean()));
        Assert.False(body.TryGetProperty("snapshot", out _));
        Assert.Equal("deeprecall", Assert.Single(Emulator.Running).Value["managed-by"]);
        Assert.Equal("hi there []\n", await repl.PrintAsync("import os\nprint(os.environ['GREETING'], [name for name in os.environ if name.startswith('DAYTONA_')])"));
    }

    [Fact]
    public async Task NetworkIsBlockedUnlessItIsAllowed()
    {
        var open = Create(options =>
        {
            options.NetworkBlockAll = false;
            options.Ephemeral = false;
            options.Snapshot = "my-snapshot";
        });
        await using var repl = await TestRepl.StartAsync(open);
        Assert.False(Emulator.Newest.GetProperty("networkBlockAll").GetBoolean());
        Assert.Equal("my-snapshot", Emulator.Newest.GetProperty("snapshot").GetString());
        Assert.False(Emulator.Newest.TryGetProperty("autoDeleteInterval", out _));
        Assert.Contains("there is no network", _daytona.Sandbox.Description, StringComparison.Ordinal);
        Assert.DoesNotContain("no network", open.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SandboxThatIsNotStartedYet_IsWaitedFor()
    {
        Emulator.Faults.StartStates = ["creating", "pulling_snapshot", "starting"];
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        Assert.Equal(3, Emulator.Requests.Count(request => request.Method == "GET" && request.Path.StartsWith("/api/sandbox/", StringComparison.Ordinal)));
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
    }

    [Theory]
    [InlineData("error", "no runner is available", SandboxErrorKind.Server)]
    [InlineData("error", "image x does not exist", SandboxErrorKind.NotFound)]
    [InlineData("build_failed", "step 1 failed", SandboxErrorKind.NotFound)]
    public async Task SandboxThatDoesNotStart_IsToldAndDeleted(string state, string reason, SandboxErrorKind kind)
    {
        Emulator.Faults.StartStates = ["creating"];
        Emulator.Faults.StartFailure = (state, reason);
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_daytona.Sandbox));
        Assert.Equal(kind, error.Kind);
        Assert.Contains($"its state is {state}: {reason}", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, Emulator.Created);
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task JsonWebToken_GoesWithItsOrganization()
    {
        await using var repl = await TestRepl.StartAsync(new DaytonaSandbox(new DaytonaSandboxOptions
        {
            JwtToken = DaytonaEmulator.JwtToken,
            OrganizationId = DaytonaEmulator.OrganizationId,
            ApiUrl = Emulator.ApiUrl,
        }));
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
        Assert.All(Emulator.Requests, request => Assert.Equal(DaytonaEmulator.OrganizationId, request.Headers["X-Daytona-Organization-ID"]));
    }

    [Theory]
    [InlineData(400, "the request is wrong", SandboxErrorKind.BadRequest, "the image, the resources and the target")]
    [InlineData(400, "Snapshot x not found", SandboxErrorKind.NotFound, "DaytonaSandboxOptions.Snapshot")]
    [InlineData(401, "no such key", SandboxErrorKind.Authentication, "DaytonaSandboxOptions.ApiKey")]
    [InlineData(402, "pay first", SandboxErrorKind.Quota, "limits and its credit")]
    [InlineData(403, "not yours", SandboxErrorKind.Authentication, "403 (Forbidden): not yours")]
    [InlineData(403, "Total memory quota exceeded", SandboxErrorKind.Quota, "limits and its credit")]
    [InlineData(404, "no such snapshot", SandboxErrorKind.NotFound, "404 (NotFound): no such snapshot")]
    [InlineData(409, "name taken", SandboxErrorKind.Conflict, "409 (Conflict): name taken")]
    [InlineData(429, "slow down", SandboxErrorKind.RateLimit, "429 (TooManyRequests): slow down")]
    [InlineData(500, "oops", SandboxErrorKind.Server, "500 (InternalServerError): oops")]
    [InlineData(503, "later", SandboxErrorKind.Server, "503 (ServiceUnavailable): later")]
    public async Task ErrorOfTheApi_IsAnExceptionThatSaysWhatToDo(int status, string message, SandboxErrorKind kind, string expected)
    {
        Emulator.Faults.FailNext("POST", "api/sandbox", new RequestFault(status, message), times: 4);
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_daytona.Sandbox));
        Assert.Equal(kind, error.Kind);
        Assert.StartsWith("Daytona could not create a sandbox: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(DaytonaEmulator.ApiKey, error.ToString(), StringComparison.Ordinal);
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task WrongKey_IsToldWithoutTheKey()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(Create(options => options.ApiKey = "dtn_wrong")));
        Assert.Equal(SandboxErrorKind.Authentication, error.Kind);
        Assert.DoesNotContain("dtn_wrong", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RateLimit_IsWaitedForAsLongAsTheServiceAsks()
    {
        Emulator.Faults.FailNext("POST", "api/sandbox", new RequestFault(429) { RetryAfter = "1" });
        var started = TimeProvider.System.GetTimestamp();
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        Assert.True(TimeProvider.System.GetElapsedTime(started) >= TimeSpan.FromSeconds(1));
        Assert.Equal(1, Emulator.Created);
    }

    [Fact]
    public async Task CreationWhoseAnswerIsLost_IsMadeOnce()
    {
        Emulator.Faults.FailNext("POST", "api/sandbox", new RequestFault(0) { CarriedOut = true });
        await using var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        Assert.Equal(1, Emulator.Created);
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
    }

    [Fact]
    public async Task CreationWhoseAnswersAreAllLost_LeavesNoSandbox()
    {
        Emulator.Faults.FailNext("POST", "api/sandbox", new RequestFault(502) { CarriedOut = true }, times: 4);
        await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_daytona.Sandbox));
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task CreationThatNobodyWaitsFor_LeavesNoSandbox()
    {
        var answer = new TaskCompletionSource();
        Emulator.Faults.FailNext("POST", "api/sandbox", new RequestFault(0) { CarriedOut = true, When = answer.Task });
        using var impatient = new CancellationTokenSource();
        var starting = _daytona.Sandbox.StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "n" }, impatient.Token);
        await WaitAsync(() => Emulator.Running.Count == 1);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => starting.WaitAsync(TimeSpan.FromSeconds(1), Token));
        answer.SetResult();
        await WaitAsync(() => Emulator.Running.Count == 0);
    }

    [Theory]
    [InlineData("POST", "/process/pty", 403, "could not open a terminal: 403 (Forbidden): injected")]
    [InlineData("GET", "/connect", 401, "could not connect to the terminal: 401 (Unauthorized)")]
    public async Task StartThatFailsHalfway_DeletesItsSandbox(string method, string path, int status, string expected)
    {
        Emulator.Faults.FailNext(method, path, new RequestFault(status));
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_daytona.Sandbox));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, Emulator.Created);
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task SandboxWithoutPython_IsToldAndDeleted()
    {
        Emulator.Faults.Profile = "PATH=/nowhere\n";
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_daytona.Sandbox));
        Assert.Contains("could not start Python: exit code 127, ", error.Message, StringComparison.Ordinal);
        Assert.Contains("python3: command not found; the sandbox needs a shell and python3", error.Message, StringComparison.Ordinal);
        Assert.Empty(Emulator.Running);
    }

    [Theory]
    [InlineData(507, "no space left", "could not upload 'context_0' to the sandbox")]
    [InlineData(0, "", "the connection failed")]
    public async Task UploadThatFails_IsToldAndItsSandboxDeleted(int status, string message, string expected)
    {
        Emulator.Faults.FailNext("POST", "/files/bulk-upload", new RequestFault(status, message));
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_daytona.Sandbox, ContextContent.FromText(new string('x', 3_000_000))));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task ServiceThatIsNotThere_IsAConnectionError()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(Create(options => options.ApiUrl = "http://127.0.0.1:9")));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Contains("DaytonaSandboxOptions.ApiUrl", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DisposedRepl_LeavesNothing()
    {
        var repl = await TestRepl.StartAsync(_daytona.Sandbox);
        await repl.PrintAsync("import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)");
        Assert.NotEmpty(Emulator.Processes);
        Emulator.Faults.FailNext("DELETE", string.Empty, new RequestFault(502));
        await repl.DisposeAsync();
        await repl.DisposeAsync();
        Assert.Empty(Emulator.Running);
        Assert.Empty(Emulator.Processes);
    }

    [Fact]
    public async Task Leftovers_AreDeletedByTheirLabelAndAge()
    {
        List<TestRepl> repls = [];
        for (var count = 0; count < 3; count++) // more than a page
        {
            repls.Add(await TestRepl.StartAsync(_daytona.Sandbox));
        }

        Assert.Equal(0, await _daytona.Sandbox.DeleteLeftoversAsync(TimeSpan.FromHours(1), Token));
        Assert.Equal(3, await _daytona.Sandbox.DeleteLeftoversAsync(TimeSpan.Zero, Token));
        Assert.Empty(Emulator.Running);
        foreach (var repl in repls)
        {
            await repl.DisposeAsync();
        }
    }

    [Fact]
    public async Task ListThatBeginsAgain_ComesToItsEnd()
    {
        Emulator.Faults.RepeatsPages = true;
        await using var first = await TestRepl.StartAsync(_daytona.Sandbox);
        await using var second = await TestRepl.StartAsync(_daytona.Sandbox);
        await using var third = await TestRepl.StartAsync(_daytona.Sandbox);
        Assert.Equal(2, await _daytona.Sandbox.DeleteLeftoversAsync(TimeSpan.Zero, Token).WaitAsync(TimeSpan.FromSeconds(20), Token));
    }

    [Fact]
    public async Task SandboxesOfOthers_AreLeftAloneAlsoWhenTheServiceListsThem()
    {
        Emulator.Faults.IgnoresFilters = true;
        var client = new DaytonaClient(DaytonaSettings.Resolve(DaytonaFixture.Options(Emulator), _ => null), Sandboxes.Cloud.CloudHost.Create(null, null, null));
        using var created = await client.Http.SendAsync(
            "create a sandbox of somebody else",
            () =>
            {
                var request = client.Request(HttpMethod.Post, new Uri($"{Emulator.ApiUrl}/sandbox"));
                request.Content = new StringContent("""{"name":"other","labels":{"managed-by":"others"}}""", new System.Net.Http.Headers.MediaTypeHeaderValue("application/json"));
                return request;
            },
            repeatable: false,
            Token);
        Assert.Equal(0, await _daytona.Sandbox.DeleteLeftoversAsync(TimeSpan.Zero, Token));
        Assert.Single(Emulator.Running);
    }

    [Fact]
    public async Task SweepAfterALostCreation_LeavesOtherSandboxesAlone()
    {
        Emulator.Faults.IgnoresFilters = true;
        await using var other = await TestRepl.StartAsync(_daytona.Sandbox);
        Emulator.Faults.FailNext("POST", "api/sandbox", new RequestFault(502) { CarriedOut = true }, times: 4);
        await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_daytona.Sandbox));
        Assert.Single(Emulator.Running);
        Assert.Equal("1\n", await other.PrintAsync("print(1)"));
    }

    [Fact]
    public async Task KilledProcess_IsOverBeforeTheServiceAnswers()
    {
        var answer = new TaskCompletionSource();
        await using var process = await _daytona.Sandbox.StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "n" }, Token);
        Emulator.Faults.FailNext("DELETE", string.Empty, new RequestFault(502) { When = answer.Task });
        var killing = process.KillAsync(Token);
        Assert.Equal(9, (await process.Exited.WaitAsync(TimeSpan.FromSeconds(5), Token)).Signal);
        await process.Output.CopyToAsync(Stream.Null, Token).WaitAsync(TimeSpan.FromSeconds(5), Token);
        Assert.False(killing.IsCompleted);
        answer.SetResult();
        await killing;
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task KillThatTheServiceDoesNotCarryOut_DoesNotThrow()
    {
        await using var process = await _daytona.Sandbox.StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "n" }, Token);
        Emulator.Faults.FailNext("DELETE", string.Empty, new RequestFault(502), times: 4);
        await process.KillAsync(Token);
        Assert.True(process.Exited.IsCompleted);
    }

    [Theory]
    [InlineData("ApiKey", "DaytonaSandboxOptions.ApiKey is not set, and neither is the environment variable DAYTONA_API_KEY")]
    [InlineData("JwtToken", "DaytonaSandboxOptions.JwtToken is set, and so is ApiKey")]
    [InlineData("OrganizationId", "DaytonaSandboxOptions.OrganizationId is not set; a JwtToken needs it")]
    [InlineData("ApiUrl", "DaytonaSandboxOptions.ApiUrl is 'no address'; an absolute http or https address is needed")]
    [InlineData("Image", "DaytonaSandboxOptions.Image is 'a b'")]
    [InlineData("Snapshot", "DaytonaSandboxOptions.Image is set, and so is Snapshot")]
    [InlineData("Cpu", "DaytonaSandboxOptions.Cpu is 0")]
    [InlineData("MemoryGb", "DaytonaSandboxOptions.MemoryGb is 2, and there is no Image")]
    [InlineData("AutoStop", "DaytonaSandboxOptions.AutoStop is -00:01:00")]
    public void OptionThatIsNotAllowed_IsNamed(string option, string expected)
    {
        var options = new DaytonaSandboxOptions { ApiKey = option is "ApiKey" or "OrganizationId" ? null : "k" };
        switch (option)
        {
            case "JwtToken" or "OrganizationId":
                options.JwtToken = "t";
                break;
            case "ApiUrl":
                options.ApiUrl = "no address";
                break;
            case "Image":
                options.Image = "a b";
                break;
            case "Snapshot":
                options.Image = options.Snapshot = "x";
                break;
            case "Cpu":
                options.Cpu = 0;
                break;
            case "MemoryGb":
                options.MemoryGb = 2;
                break;
            case "AutoStop":
                options.AutoStop = TimeSpan.FromMinutes(-1);
                break;
        }

        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => DaytonaSettings.Resolve(options, _ => null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Environment_FillsWhatTheOptionsLeaveOut()
    {
        var variables = new Dictionary<string, string> { ["DAYTONA_API_KEY"] = "k", ["DAYTONA_API_URL"] = "http://127.0.0.1:1/api/", ["DAYTONA_TARGET"] = "eu", ["DAYTONA_ORGANIZATION_ID"] = "o" };
        var settings = DaytonaSettings.Resolve(new(), variables.GetValueOrDefault);
        Assert.Equal(("k", null, "http://127.0.0.1:1/api/", "eu"), (settings.Secret, settings.OrganizationId, settings.ApiUrl.AbsoluteUri, settings.Target));
        settings = DaytonaSettings.Resolve(new() { JwtToken = "t" }, variables.GetValueOrDefault);
        Assert.Equal(("t", "o"), (settings.Secret, settings.OrganizationId));
        Assert.Equal("https://app.daytona.io/api/", DaytonaSettings.Resolve(new() { ApiKey = "own" }, _ => null).ApiUrl.AbsoluteUri);
    }

    private DaytonaSandbox Create(Action<DaytonaSandboxOptions> configure)
    {
        var options = DaytonaFixture.Options(Emulator);
        configure(options);
        return new DaytonaSandbox(options);
    }

    private static async Task WaitAsync(Func<bool> condition)
    {
        var deadline = Environment.TickCount64 + 20_000;
        while (!condition() && Environment.TickCount64 < deadline)
        {
            await Task.Delay(20, Token);
        }

        Assert.True(condition());
    }
}
