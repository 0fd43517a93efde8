using System.Text.Json.Nodes;
using DeepRecall.Repl;
using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.E2B;
using DeepRecall.Sandboxes.Tests.Cloud;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators;
using Microsoft.Extensions.Time.Testing;

namespace DeepRecall.Sandboxes.Tests.E2B;

/// <summary>What goes over the wire, and what becomes of the service's errors.</summary>
public sealed class E2BWireTests : IAsyncLifetime
{
    private readonly E2BFixture _fixture = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Creation_SendsTheOptionsAndTheLabels()
    {
        _fixture.Emulator.Templates.Add("my-template");
        var sandbox = _fixture.CreateSandbox(options =>
        {
            options.Template = "my-template";
            options.Timeout = TimeSpan.FromMinutes(20);
            options.AllowInternet = true;
            options.Metadata["team"] = "red";
            options.EnvVars["GREETING"] = "hi there";
        });
        await using var repl = await TestRepl.StartAsync(sandbox);
        var create = _fixture.Emulator.Requests[0];
        Assert.Equal(("POST", "/v2/sandboxes", _fixture.Emulator.ApiKey), (create.Method, create.Path, create.Headers["X-API-KEY"]));
        var body = JsonNode.Parse(create.Body)!;
        Assert.Equal(("my-template", 1200, true), ((string?)body["templateID"], (int)body["timeout"]!, (bool)body["allow_internet_access"]!));
        Assert.Equal(("red", "deeprecall"), ((string?)body["metadata"]!["team"], (string?)body["metadata"]!["managed-by"]));
        Assert.Equal("hi there None\n", await repl.PrintAsync("import os\nprint(os.environ['GREETING'], os.environ.get('E2B_API_KEY'))"));
    }

    [Fact]
    public async Task InternetIsOffUnlessItIsAllowed()
    {
        await using var repl = await TestRepl.StartAsync(_fixture.CreateSandbox());
        Assert.False((bool)JsonNode.Parse(_fixture.Emulator.Requests[0].Body)!["allow_internet_access"]!);
        Assert.Contains("no access to the internet", _fixture.CreateSandbox().Description, StringComparison.Ordinal);
        Assert.DoesNotContain("no access", _fixture.CreateSandbox(options => options.AllowInternet = true).Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ServiceWithoutTheSecondVersion_IsAskedByTheFirst()
    {
        _fixture.Emulator.HasV2 = false;
        await using var repl = await TestRepl.StartAsync(_fixture.CreateSandbox());
        Assert.Equal(["/v2/sandboxes", "/sandboxes"], _fixture.Emulator.Requests.Take(2).Select(request => request.Path));
        Assert.True((bool)JsonNode.Parse(_fixture.Emulator.Requests[1].Body)!["secure"]!);
        Assert.Equal("alive\n", await repl.PrintAsync("print('alive')"));
    }

    [Fact]
    public async Task CallsOfTheSandbox_CarryItsTokenAndNotTheKey()
    {
        await using (var repl = await TestRepl.StartAsync(_fixture.CreateSandbox()))
        {
            await repl.PrintAsync("print(1)");
        }

        var envd = _fixture.Emulator.Requests.Where(request => request.Path.StartsWith("/process.", StringComparison.Ordinal) || request.Path == "/files").ToArray();
        Assert.NotEmpty(envd);
        Assert.All(envd, request =>
        {
            Assert.Equal("49983", request.Headers["E2b-Sandbox-Port"]);
            Assert.True(request.Headers.ContainsKey("X-Access-Token"));
            Assert.False(request.Headers.ContainsKey("X-API-KEY"));
        });
        var start = Assert.Single(envd, request => request.Path.EndsWith("/Start", StringComparison.Ordinal));
        Assert.Equal(("50", "1"), (start.Headers["Keepalive-Ping-Interval"], start.Headers["Connect-Protocol-Version"]));
        Assert.False(start.Headers.ContainsKey("Connect-Timeout-Ms")); // which would be the life of the process
    }

    [Theory]
    [InlineData("e2b.app", null, null, "https://sandbox.e2b.app/")]
    [InlineData("e2b.app", "e2b.dev", null, "https://sandbox.e2b.dev/")]
    [InlineData("corp.example", null, null, "https://49983-i1.corp.example/")]
    [InlineData("corp.example", null, "http://10.0.0.1:3000", "http://10.0.0.1:3000/")]
    public void AddressOfASandbox_FollowsTheDomain(string domain, string? told, string? sandboxUrl, string expected)
    {
        var settings = E2BSettings.Resolve(new() { ApiKey = "k", Domain = domain, SandboxUrl = sandboxUrl }, _ => null);
        Assert.Equal(expected, E2BService.AddressOf(settings, new E2BCreated("i1", null, null, told)).AbsoluteUri);
    }

    [Fact]
    public async Task TimeOfASandboxInUse_IsExtendedUntilItIsDeleted()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var repl = await TestRepl.StartAsync(_fixture.CreateSandbox(options => options.Timeout = TimeSpan.FromSeconds(300), time));
        var id = Assert.Single(_fixture.Emulator.Sandboxes);
        EmulatedRequest[] extensions;
        do
        {
            time.Advance(TimeSpan.FromSeconds(100));
            await Task.Delay(50, Token);
            extensions = [.. _fixture.Emulator.Requests.Where(request => request.Path == $"/sandboxes/{id}/timeout")];
        }
        while (extensions.Length < 2);
        Assert.Equal("""{"timeout":300}""", extensions[0].Body);

        await repl.DisposeAsync();
        var before = _fixture.Emulator.Requests.Count;
        time.Advance(TimeSpan.FromSeconds(1000));
        await Task.Delay(100, Token);
        Assert.Equal(before, _fixture.Emulator.Requests.Count);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Theory]
    [InlineData(400, "the request is wrong", SandboxErrorKind.BadRequest, "400 (BadRequest): the request is wrong")]
    [InlineData(400, "template 'x' not found", SandboxErrorKind.NotFound, "E2BSandboxOptions.Template")]
    [InlineData(401, "no such key", SandboxErrorKind.Authentication, "E2B_API_KEY")]
    [InlineData(402, "pay first", SandboxErrorKind.Quota, "the plan and the credit")]
    [InlineData(403, "not yours", SandboxErrorKind.Authentication, "403 (Forbidden): not yours")]
    [InlineData(403, "team exceeded its quota", SandboxErrorKind.Quota, "the plan and the credit")]
    [InlineData(409, "paused", SandboxErrorKind.Conflict, "409 (Conflict): paused")]
    [InlineData(429, "too many sandboxes", SandboxErrorKind.RateLimit, "Start fewer sandboxes at a time")]
    [InlineData(500, "oops", SandboxErrorKind.Server, "500 (InternalServerError): oops")]
    [InlineData(503, "later", SandboxErrorKind.Server, "503 (ServiceUnavailable): later")]
    public async Task ErrorOfTheApi_IsAnExceptionThatSaysWhatToDo(int status, string message, SandboxErrorKind kind, string expected)
    {
        for (var attempt = 0; attempt < 4; attempt++)
        {
            _fixture.Emulator.FailNext(request => request.Path.EndsWith("/sandboxes", StringComparison.Ordinal) && request.Method == "POST", new Fault(FaultKind.Status) { Status = status, Message = message });
        }

        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox()));
        Assert.Equal(kind, error.Kind);
        Assert.StartsWith("E2B could not create a sandbox: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(_fixture.Emulator.ApiKey, error.ToString(), StringComparison.Ordinal);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Fact]
    public async Task UnknownTemplate_IsNamed()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox(options => options.Template = "absent")));
        Assert.Equal(SandboxErrorKind.NotFound, error.Kind);
        Assert.Contains("template 'absent' not found", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WrongKey_IsToldWithoutTheKey()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox(options => options.ApiKey = "e2b_wrong")));
        Assert.Equal(SandboxErrorKind.Authentication, error.Kind);
        Assert.DoesNotContain("e2b_wrong", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RateLimit_IsWaitedForAsLongAsTheServiceAsks()
    {
        _fixture.Emulator.FailNext(request => request.Path == "/v2/sandboxes", new Fault(FaultKind.Status) { Status = 429, Message = "slow down", RetryAfter = "1" });
        var started = TimeProvider.System.GetTimestamp();
        await using var repl = await TestRepl.StartAsync(_fixture.CreateSandbox());
        Assert.True(TimeProvider.System.GetElapsedTime(started) >= TimeSpan.FromSeconds(1));
        Assert.Equal(1, _fixture.Emulator.Created);
    }

    [Fact]
    public async Task RateLimitLongerThanAnybodyWaits_IsToldAtOnce()
    {
        _fixture.Emulator.FailNext(request => request.Path == "/v2/sandboxes", new Fault(FaultKind.Status) { Status = 429, Message = "slow down", RetryAfter = "3600" });
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox()));
        Assert.Equal(SandboxErrorKind.RateLimit, error.Kind);
        Assert.Contains("It asks to wait for 3600 seconds.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CreationWhoseAnswerIsLost_LeavesNoSandbox()
    {
        _fixture.Emulator.FailNext(request => request.Path == "/v2/sandboxes" && request.Method == "POST", new Fault(FaultKind.CutAfterHeaders));
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox()));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Equal(1, _fixture.Emulator.Created);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Theory]
    [InlineData("0", 2)]
    [InlineData(null, 1)]
    public async Task CreationAnsweredAsUnavailable_IsMadeAgainOnlyWhenTheServiceAsksForIt(string? retryAfter, int requests)
    {
        _fixture.Emulator.FailNext(request => request.Path == "/v2/sandboxes" && request.Method == "POST", new Fault(FaultKind.Status) { Status = 503, Message = "later", RetryAfter = retryAfter });
        var starting = TestRepl.StartAsync(_fixture.CreateSandbox());
        if (retryAfter is null)
        {
            Assert.Equal(SandboxErrorKind.Server, (await Assert.ThrowsAsync<SandboxException>(() => starting)).Kind);
        }
        else
        {
            await (await starting).DisposeAsync();
        }

        Assert.Equal(requests, _fixture.Emulator.Requests.Count(request => request.Path == "/v2/sandboxes" && request.Method == "POST"));
    }

    [Fact]
    public async Task CreationThatNobodyWaitsFor_LeavesNoSandbox()
    {
        _fixture.Emulator.FailNext(request => request.Path == "/v2/sandboxes", new Fault(FaultKind.Slow) { Delay = TimeSpan.FromSeconds(1.5) });
        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        var request = new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "n" };
        var started = TimeProvider.System.GetTimestamp();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _fixture.CreateSandbox().StartAsync(request, impatient.Token));
        Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(1.3));
        await WaitAsync(() => _fixture.Emulator.Created == 1 && _fixture.Emulator.Sandboxes.Count == 0);
    }

    [Theory]
    [InlineData("/files", 507, "could not upload a file: 507 (InsufficientStorage): no space")]
    [InlineData("/files", 401, "could not upload a file: 401 (Unauthorized)")]
    [InlineData("/process.Process/Start", 403, "could not start Python in the E2B sandbox")]
    public async Task StartThatFailsHalfway_DeletesItsSandbox(string path, int status, string expected)
    {
        _fixture.Emulator.FailNext(request => request.Path == path, new Fault(FaultKind.Status) { Status = status, Message = "no space" });
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox()));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, _fixture.Emulator.Created);
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Theory]
    [InlineData("/files")]
    [InlineData("/process.Process/Start")]
    public async Task ErrorsThatRepeatTheToken_AreToldWithoutIt(string path)
    {
        using var handler = new EchoingHandler(path);
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox(handler: handler)));
        Assert.NotEmpty(handler.Secrets);
        Assert.Contains("[redacted]", error.Message, StringComparison.Ordinal);
        Assert.All(handler.Secrets, secret => Assert.DoesNotContain(secret, error.ToString(), StringComparison.Ordinal));
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Fact]
    public async Task ServiceThatIsNotThere_IsAConnectionError()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_fixture.CreateSandbox(options => options.ApiUrl = "http://127.0.0.1:9")));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Contains("E2BSandboxOptions.Domain", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DisposedRepl_LeavesNothing()
    {
        var repl = await TestRepl.StartAsync(_fixture.CreateSandbox());
        var pids = (await repl.PrintAsync("import os, subprocess\nprint(os.getpid(), subprocess.Popen(['sleep', '600'], start_new_session=True).pid)")).Split(' ').Select(int.Parse).ToArray();
        await repl.DisposeAsync();
        await repl.DisposeAsync();
        Assert.Empty(_fixture.Emulator.Sandboxes);
        Assert.Equal(0, _fixture.Emulator.Faults.OpenStreams);
        Assert.All(pids, pid => Assert.False(Directory.Exists($"/proc/{pid}") && !File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task DeletionThatFailsOnce_IsTriedAgain()
    {
        _fixture.Emulator.FailNext(request => request.Method == "DELETE", new Fault(FaultKind.Status) { Status = 502, Message = "proxy" });
        var repl = await TestRepl.StartAsync(_fixture.CreateSandbox());
        await repl.DisposeAsync();
        Assert.Empty(_fixture.Emulator.Sandboxes);
    }

    [Fact]
    public async Task Leftovers_AreDeletedByTheirLabelAndAge()
    {
        // More than one page, and one of somebody else.
        await using var other = new E2BFixture();
        var sandbox = _fixture.CreateSandbox();
        List<TestRepl> repls = [];
        for (var index = 0; index < 3; index++)
        {
            repls.Add(await TestRepl.StartAsync(sandbox));
        }

        using var foreign = await PostAsync("""{"templateID":"base","timeout":300,"metadata":{"managed-by":"others"}}""");
        foreign.EnsureSuccessStatusCode();
        var old = _fixture.Emulator.Sandboxes.ToArray();
        foreach (var id in old)
        {
            _fixture.Emulator.Age(id, TimeSpan.FromHours(2));
        }

        repls.Add(await TestRepl.StartAsync(sandbox));
        Assert.Equal(3, await sandbox.DeleteLeftoversAsync(TimeSpan.FromHours(1), Token));
        Assert.Equal(2, _fixture.Emulator.Sandboxes.Count);
        foreach (var repl in repls)
        {
            await repl.DisposeAsync();
        }

        Assert.Single(_fixture.Emulator.Sandboxes);
    }

    [Theory]
    [InlineData("ApiKey", "E2BSandboxOptions.ApiKey is not set, and neither is the environment variable E2B_API_KEY")]
    [InlineData("ApiUrl", "E2BSandboxOptions.ApiUrl is 'no address'; an absolute http or https address is needed")]
    [InlineData("Domain", "E2BSandboxOptions.Domain is 'https://x', which is no host name")]
    [InlineData("Template", "E2BSandboxOptions.Template is blank")]
    [InlineData("Timeout", "E2BSandboxOptions.Timeout is 00:00:01; whole seconds from 00:00:15 to 1.00:00:00 are allowed")]
    [InlineData("Metadata", "E2BSandboxOptions.Metadata sets 'managed-by'")]
    public void OptionThatIsNotAllowed_IsNamed(string option, string expected)
    {
        var options = new E2BSandboxOptions { ApiKey = option == "ApiKey" ? null : "k" };
        switch (option)
        {
            case "ApiUrl":
                options.ApiUrl = "no address";
                break;
            case "Domain":
                options.Domain = "https://x";
                break;
            case "Template":
                options.Template = " ";
                break;
            case "Timeout":
                options.Timeout = TimeSpan.FromSeconds(1);
                break;
            case "Metadata":
                options.Metadata[CloudLabels.OwnerKey] = "me";
                break;
        }

        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => E2BSettings.Resolve(options, _ => null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Environment_FillsWhatTheOptionsLeaveOut()
    {
        var variables = new Dictionary<string, string> { ["E2B_API_KEY"] = "key", ["E2B_DOMAIN"] = "corp.example", ["E2B_SANDBOX_URL"] = "http://proxy:1/" };
        var settings = E2BSettings.Resolve(new(), variables.GetValueOrDefault);
        Assert.Equal(("key", "https://api.corp.example/", "http://proxy:1/"), (settings.ApiKey, settings.ApiUrl.AbsoluteUri, settings.SandboxUrl!.AbsoluteUri));
        settings = E2BSettings.Resolve(new() { ApiKey = "own", Domain = "e2b.dev" }, variables.GetValueOrDefault);
        Assert.Equal(("own", "https://api.e2b.dev/"), (settings.ApiKey, settings.ApiUrl.AbsoluteUri));
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

    private async Task<HttpResponseMessage> PostAsync(string body)
    {
        using var handler = new SocketsHttpHandler();
        using var client = new HttpMessageInvoker(handler);
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{_fixture.Emulator.Url}/v2/sandboxes")
        {
            Content = new StringContent(body, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json")),
        };
        request.Headers.Add("X-API-KEY", _fixture.Emulator.ApiKey);
        return await client.SendAsync(request, Token);
    }
}
