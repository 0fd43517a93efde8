using DeepRecall.Repl;
using DeepRecall.Sandboxes.Modal;
using DeepRecall.Sandboxing;
using DeepRecall.Testing.Emulators.Modal;
using Grpc.Core;

namespace DeepRecall.Sandboxes.Tests.Modal;

/// <summary>What goes over the wire, and what becomes of the service's errors.</summary>
public sealed class ModalWireTests : IAsyncLifetime
{
    private readonly ModalFixture _modal = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private ModalEmulator Emulator => _modal.Emulator;

    public ValueTask InitializeAsync() => _modal.InitializeAsync();

    public ValueTask DisposeAsync() => _modal.DisposeAsync();

    [Fact]
    public async Task Start_MakesTheCallsThatModalsOwnClientMakes_AndTheNextOneOnlyThoseOfTheSandbox()
    {
        await using var first = await TestRepl.StartAsync(_modal.Sandbox);
        string[] setUp = ["AuthTokenGet", "AppGetOrCreate", "EnvironmentGetOrCreate", "ImageGetOrCreate"];
        Assert.Equal([.. setUp, "SandboxCreateV2", "TaskExecStart"], Emulator.Calls.Take(6).Select(call => call.Method));

        var before = Emulator.Calls.Count;
        await using var second = await TestRepl.StartAsync(_modal.Sandbox);
        Assert.Equal(["SandboxCreateV2", "TaskExecStart"], Emulator.Calls.Skip(before).Select(call => call.Method).Where(method => method.EndsWith("V2", StringComparison.Ordinal) || method.EndsWith("Start", StringComparison.Ordinal)));
        Assert.DoesNotContain(Emulator.Calls.Skip(before), call => setUp.Contains(call.Method));
    }

    [Fact]
    public async Task Creation_SendsTheOptionsAndTheTags()
    {
        var sandbox = Create(options =>
        {
            options.Timeout = TimeSpan.FromMinutes(20);
            options.Cpu = 0.5;
            options.MemoryMb = 512;
            options.EnvVars["GREETING"] = "hi there";
        });
        await using var repl = await TestRepl.StartAsync(sandbox);
        Assert.Contains("\"timeoutSecs\": 1200", Emulator.Newest, StringComparison.Ordinal);
        Assert.Contains("\"milliCpu\": 500", Emulator.Newest, StringComparison.Ordinal);
        Assert.Contains("\"memoryMb\": 512", Emulator.Newest, StringComparison.Ordinal);
        Assert.Equal("deeprecall", Assert.Single(Emulator.Running).Value["managed-by"]);
        Assert.Equal("hi there []\n", await repl.PrintAsync("import os\nprint(os.environ['GREETING'], [name for name in os.environ if name.startswith('MODAL_')])"));
    }

    [Fact]
    public async Task NetworkIsBlockedUnlessItIsAllowed()
    {
        await using var blocked = await TestRepl.StartAsync(_modal.Sandbox);
        Assert.Contains("BLOCKED", Emulator.Newest, StringComparison.Ordinal);
        Assert.Contains("there is no network", _modal.Sandbox.Description, StringComparison.Ordinal);
        var open = Create(options => options.BlockNetwork = false);
        await using var repl = await TestRepl.StartAsync(open);
        Assert.Contains("OPEN", Emulator.Newest, StringComparison.Ordinal);
        Assert.DoesNotContain("no network", open.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CallsOfTheSandbox_CarryItsTokenAndNotTheKey()
    {
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        await repl.PrintAsync("print(1)");
        var router = Emulator.Calls.Where(call => call.Method.StartsWith("TaskExec", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(router);
        Assert.All(router, call =>
        {
            Assert.StartsWith("Bearer ", call.Headers.GetValue("authorization"), StringComparison.Ordinal);
            Assert.Null(call.Headers.GetValue("x-modal-token-secret"));
        });
        Assert.All(Emulator.Calls.Except(router), call => Assert.NotNull(call.Headers.GetValue("x-idempotency-key")));
    }

    [Fact]
    public async Task ImageThatIsStillToBeBuilt_IsWaitedFor()
    {
        Emulator.Faults.BuildsImages = true;
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        Assert.Equal(2, Emulator.Calls.Count(call => call.Method == "ImageJoinStreaming")); // the first ends before the build does
        Assert.Equal("1\n", await repl.PrintAsync("print(1)"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ImageThatCannotBeBuilt_IsNamed(bool later)
    {
        Emulator.Faults.BuildsImages = later;
        Emulator.Faults.ImageFailure = commands => commands == "FROM no-such:image" ? "manifest unknown" : null;
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(Create(options => options.Image = "no-such:image")));
        Assert.Equal(SandboxErrorKind.NotFound, error.Kind);
        Assert.Contains("could not build the image 'no-such:image': Failure manifest unknown.", error.Message, StringComparison.Ordinal);
        Assert.Contains("ModalSandboxOptions.Environment and Image", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ImageWithoutPython_IsToldWithWhatTheSandboxSaid()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(Create(options => options.EnvVars["PATH"] = "/nowhere")));
        Assert.Contains("exit code 127", error.Message, StringComparison.Ordinal);
        Assert.Contains("python3", error.Message, StringComparison.Ordinal);
        Assert.Empty(Emulator.Running);
    }

    [Theory]
    [InlineData(StatusCode.InvalidArgument, "bad timeout", SandboxErrorKind.BadRequest, "ModalSandboxOptions")]
    [InlineData(StatusCode.Unauthenticated, "no such token", SandboxErrorKind.Authentication, "TokenId and TokenSecret")]
    [InlineData(StatusCode.PermissionDenied, "not yours", SandboxErrorKind.Authentication, "not yours")]
    [InlineData(StatusCode.NotFound, "no such environment", SandboxErrorKind.NotFound, "Environment")]
    [InlineData(StatusCode.AlreadyExists, "name taken", SandboxErrorKind.Conflict, "name taken")]
    [InlineData(StatusCode.FailedPrecondition, "workspace budget exceeded", SandboxErrorKind.Quota, "limits and its credit")]
    [InlineData(StatusCode.ResourceExhausted, "too many containers", SandboxErrorKind.Quota, "too many containers")]
    [InlineData(StatusCode.Unavailable, "down", SandboxErrorKind.Connection, "ServerUrl")]
    [InlineData(StatusCode.Internal, "oops", SandboxErrorKind.Server, "Internal: oops")]
    [InlineData(StatusCode.DeadlineExceeded, "late", SandboxErrorKind.Timeout, "late")]
    public async Task ErrorOfTheApi_IsAnExceptionThatSaysWhatToDo(StatusCode status, string detail, SandboxErrorKind kind, string expected)
    {
        Emulator.Faults.FailNext("SandboxCreateV2", new CallFault(status, detail), times: 4);
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_modal.Sandbox));
        Assert.Equal(kind, error.Kind);
        Assert.StartsWith("Modal could not create a sandbox: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(detail, error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(ModalEmulator.TokenSecret, error.ToString(), StringComparison.Ordinal);
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task WrongToken_IsToldWithoutTheToken()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(Create(options => options.TokenSecret = "as-wrong")));
        Assert.Equal(SandboxErrorKind.Authentication, error.Kind);
        Assert.Contains("could not sign in", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("as-wrong", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Throttling_IsWaitedForAsLongAsTheServerAsks()
    {
        Emulator.Faults.FailNext("SandboxCreateV2", new CallFault(StatusCode.ResourceExhausted) { RetryAfter = TimeSpan.FromSeconds(1) });
        var started = TimeProvider.System.GetTimestamp();
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        Assert.True(TimeProvider.System.GetElapsedTime(started) >= TimeSpan.FromSeconds(1));
        Assert.Equal(1, Emulator.Created);
    }

    [Fact]
    public async Task ThrottlingLongerThanAnybodyWaits_IsToldAtOnce()
    {
        Emulator.Faults.FailNext("SandboxCreateV2", new CallFault(StatusCode.ResourceExhausted) { RetryAfter = TimeSpan.FromHours(1) });
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_modal.Sandbox));
        Assert.Equal(SandboxErrorKind.RateLimit, error.Kind);
        Assert.Contains("It asks to wait for 3600 seconds.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CreationWhoseAnswerIsLost_IsMadeOnce()
    {
        Emulator.Faults.FailNext("SandboxCreateV2", new CallFault(StatusCode.Unavailable) { CarriedOut = true }, times: 2);
        await using var repl = await TestRepl.StartAsync(_modal.Sandbox);
        Assert.Equal(1, Emulator.Created);
    }

    [Fact]
    public async Task CreationWhoseAnswersAreAllLost_LeavesNoSandbox()
    {
        Emulator.Faults.FailNext("SandboxCreateV2", new CallFault(StatusCode.Unavailable) { CarriedOut = true }, times: 4);
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_modal.Sandbox));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Equal(1, Emulator.Created);
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task CreationThatNobodyWaitsFor_LeavesNoSandbox()
    {
        var answer = new TaskCompletionSource();
        Emulator.Faults.FailNext("SandboxCreateV2", new CallFault(StatusCode.Unavailable) { CarriedOut = true, When = answer.Task });
        using var impatient = new CancellationTokenSource();
        var starting = _modal.Sandbox.StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "n" }, impatient.Token);
        await WaitAsync(() => Emulator.Created == 1);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => starting.WaitAsync(TimeSpan.FromSeconds(1), Token));
        answer.SetResult();
        await WaitAsync(() => Emulator.Running.Count == 0);
        Assert.Equal(1, Emulator.Created);
    }

    [Fact]
    public async Task StartThatFailsHalfway_TerminatesItsSandbox()
    {
        Emulator.Faults.FailNext("TaskExecStart", new CallFault(StatusCode.InvalidArgument, "no such command"));
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_modal.Sandbox));
        Assert.Contains("could not start a command: InvalidArgument: no such command.", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, Emulator.Created);
        Assert.Empty(Emulator.Running);
    }

    [Fact]
    public async Task ServiceThatIsNotThere_IsAConnectionError()
    {
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(Create(options => options.ServerUrl = "http://127.0.0.1:9")));
        Assert.Equal(SandboxErrorKind.Connection, error.Kind);
        Assert.Contains("ModalSandboxOptions.ServerUrl", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DisposedRepl_LeavesNothing()
    {
        var repl = await TestRepl.StartAsync(_modal.Sandbox);
        await repl.PrintAsync("import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)");
        Assert.NotEmpty(Emulator.Processes);
        Emulator.Faults.FailNext("SandboxTerminateV2", new CallFault(StatusCode.Unavailable));
        await repl.DisposeAsync();
        await repl.DisposeAsync();
        Assert.Empty(Emulator.Running);
        Assert.Empty(Emulator.Processes);
    }

    [Fact]
    public async Task Leftovers_AreTerminatedByTheirTagAndAge()
    {
        List<TestRepl> repls = [];
        for (var count = 0; count < 3; count++) // more than a page
        {
            repls.Add(await TestRepl.StartAsync(_modal.Sandbox));
        }

        Assert.Equal(0, await _modal.Sandbox.DeleteLeftoversAsync(TimeSpan.FromHours(1), Token));
        Assert.Equal(3, await _modal.Sandbox.DeleteLeftoversAsync(TimeSpan.Zero, Token));
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
        await using var first = await TestRepl.StartAsync(_modal.Sandbox);
        await using var second = await TestRepl.StartAsync(_modal.Sandbox);
        await using var third = await TestRepl.StartAsync(_modal.Sandbox);
        Assert.Equal(2, await _modal.Sandbox.DeleteLeftoversAsync(TimeSpan.Zero, Token).WaitAsync(TimeSpan.FromSeconds(20), Token));
    }

    [Fact]
    public async Task SandboxesOfOthers_AreLeftAloneAlsoWhenTheServiceListsThem()
    {
        Emulator.Faults.IgnoresFilters = true;
        await using var other = await TestRepl.StartAsync(Create(options => options.AppName = "other"));
        Assert.Equal(0, await _modal.Sandbox.DeleteLeftoversAsync(TimeSpan.Zero, Token));
        Assert.Equal("1\n", await other.PrintAsync("print(1)"));
    }

    [Fact]
    public async Task SweepAfterALostCreation_LeavesOtherSandboxesAlone()
    {
        Emulator.Faults.IgnoresFilters = true;
        await using var other = await TestRepl.StartAsync(_modal.Sandbox);
        Emulator.Faults.FailNext("SandboxCreateV2", new CallFault(StatusCode.Unavailable) { CarriedOut = true }, times: 4);
        await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_modal.Sandbox));
        Assert.Single(Emulator.Running);
        Assert.Equal("1\n", await other.PrintAsync("print(1)"));
    }

    [Fact]
    public async Task KilledProcess_IsOverBeforeTheServiceAnswers()
    {
        var answer = new TaskCompletionSource();
        await using var process = await _modal.Sandbox.StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "n" }, Token);
        Emulator.Faults.FailNext("SandboxTerminateV2", new CallFault(StatusCode.Unavailable) { When = answer.Task });
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
        await using var process = await _modal.Sandbox.StartAsync(new SandboxStartRequest { WorkerSource = WorkerSource.Text, Nonce = "n" }, Token);
        Emulator.Faults.FailNext("SandboxTerminateV2", new CallFault(StatusCode.Internal), times: 4);
        await process.KillAsync(Token);
        Assert.True(process.Exited.IsCompleted);
    }

    [Fact]
    public async Task SandboxWithoutAnAddress_IsTerminated()
    {
        Emulator.Faults.SandboxAddress = "no address";
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(_modal.Sandbox));
        Assert.Contains("its address is 'no address'", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, Emulator.Created);
        Assert.Empty(Emulator.Running);
    }

    [Theory]
    [InlineData("TokenId", "ModalSandboxOptions.TokenId is not set, and neither is the environment variable MODAL_TOKEN_ID")]
    [InlineData("TokenSecret", "ModalSandboxOptions.TokenSecret is not set, and neither is the environment variable MODAL_TOKEN_SECRET")]
    [InlineData("ServerUrl", "ModalSandboxOptions.ServerUrl is 'no address'; an absolute http or https address is needed")]
    [InlineData("Image", "ModalSandboxOptions.Image is 'a b'")]
    [InlineData("AppName", "ModalSandboxOptions.AppName is blank")]
    [InlineData("Timeout", "ModalSandboxOptions.Timeout is 00:00:01; whole seconds from 00:00:10 to 1.00:00:00 are allowed")]
    [InlineData("Cpu", "ModalSandboxOptions.Cpu is -1")]
    [InlineData("MemoryMb", "ModalSandboxOptions.MemoryMb is 0")]
    public void OptionThatIsNotAllowed_IsNamed(string option, string expected)
    {
        var options = new ModalSandboxOptions { TokenId = option == "TokenId" ? null : "i", TokenSecret = option == "TokenSecret" ? null : "s" };
        switch (option)
        {
            case "ServerUrl":
                options.ServerUrl = "no address";
                break;
            case "Image":
                options.Image = "a b";
                break;
            case "AppName":
                options.AppName = " ";
                break;
            case "Timeout":
                options.Timeout = TimeSpan.FromSeconds(1);
                break;
            case "Cpu":
                options.Cpu = -1;
                break;
            case "MemoryMb":
                options.MemoryMb = 0;
                break;
        }

        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => ModalSettings.Resolve(options, _ => null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Environment_FillsWhatTheOptionsLeaveOut()
    {
        var variables = new Dictionary<string, string> { ["MODAL_TOKEN_ID"] = "i", ["MODAL_TOKEN_SECRET"] = "s", ["MODAL_SERVER_URL"] = "http://127.0.0.1:1", ["MODAL_ENVIRONMENT"] = "dev" };
        var settings = ModalSettings.Resolve(new(), variables.GetValueOrDefault);
        Assert.Equal(("i", "s", "http://127.0.0.1:1/", "dev"), (settings.TokenId, settings.TokenSecret, settings.ServerUrl.AbsoluteUri, settings.Environment));
        settings = ModalSettings.Resolve(new() { TokenId = "own", TokenSecret = "too" }, _ => null);
        Assert.Equal(("own", "https://api.modal.com/", ""), (settings.TokenId, settings.ServerUrl.AbsoluteUri, settings.Environment));
    }

    [Theory]
    [InlineData("https://127.0.0.1:5000", "http://127.0.0.1:4000", "http://127.0.0.1:5000/")]
    [InlineData("https://worker.modal.example:443", "http://127.0.0.1:4000", "https://worker.modal.example/")]
    [InlineData("https://worker.modal.example:5000", "https://api.modal.com", "https://worker.modal.example:5000/")]
    public void AddressOfASandbox_IsPlainOnlyOnLoopback(string url, string server, string expected) =>
        Assert.Equal(expected, ModalChannel.RouterAddress(url, new Uri(server))!.AbsoluteUri);

    private ModalSandbox Create(Action<ModalSandboxOptions> configure)
    {
        var options = ModalFixture.Options(Emulator);
        configure(options);
        return new ModalSandbox(options);
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
