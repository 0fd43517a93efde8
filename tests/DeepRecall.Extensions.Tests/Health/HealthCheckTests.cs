using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace DeepRecall.Tests.Health;

public sealed class HealthCheckTests
{
    private readonly ServiceCollection _services = new();

    public HealthCheckTests() => _services.AddLogging();

    private static CancellationToken Token => Services.Token;

    [Fact]
    public async Task UsableBackend_IsHealthy_AndNotAsked()
    {
        var model = Services.Answering("yes");
        _services.AddDeepRecall(o => o.Backend = "main").WithModel("main", model);
        _services.AddHealthChecks().AddDeepRecallBackend();

        var (name, entry) = Assert.Single(await CheckAsync());

        Assert.Equal(("deeprecall_backend", HealthStatus.Healthy), (name, entry.Status));
        Assert.Equal(("main", "scripted-model"), (entry.Data["backend"], entry.Data["model"]));
        Assert.Empty(model.Requests);
    }

    [Fact]
    public async Task WithoutABackend_ItIsTheClientOfTheApplicationThatIsChecked_NotAnEntryThatIsNotTheRoot()
    {
        var own = new ScriptedChatClient(_ => "pong");
        _services.AddChatClient(own);
        _services.AddDeepRecall(o => o.Backends["a"] = o.Backends["b"] = new Backends.BackendOptions { Provider = "vllm", ModelName = "m" });
        _services.AddHealthChecks().AddDeepRecallBackend(ping: true);

        Assert.Equal(HealthStatus.Healthy, Assert.Single(await CheckAsync()).Value.Status);
        Assert.Single(own.Requests);
    }

    [Fact]
    public async Task Ping_AsksTheModel()
    {
        var model = new ScriptedChatClient(_ => "pong");
        _services.AddDeepRecall(o => o.Backend = "main").WithModel("main", model);
        _services.AddHealthChecks().AddDeepRecallBackend(ping: true);

        Assert.Equal(HealthStatus.Healthy, Assert.Single(await CheckAsync()).Value.Status);
        Assert.Equal("ping", Assert.Single(model.Requests).LastText);
    }

    [Fact]
    public async Task PingThatFails_IsReported_WithoutTheKey()
    {
        await using var server = await FakeOpenAI.StartAsync(_ => null);
        _services.AddDeepRecall().AddBackend("openai", entry =>
        {
            entry.ModelName = "gpt-4o";
            entry.ApiKey = "sk-secret-2";
            entry.BaseUrl = server.BaseUrl;
        });
        _services.AddHealthChecks().AddDeepRecallBackend("openai", ping: true, failureStatus: HealthStatus.Degraded);

        var (name, entry) = Assert.Single(await CheckAsync());

        Assert.Equal(("deeprecall_backend_openai", HealthStatus.Degraded), (name, entry.Status));
        Assert.Contains("401", entry.Description, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-secret-2", $"{entry.Description}{entry.Exception}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task BackendThatIsNotUsable_IsUnhealthy_AndSaysWhy()
    {
        _services.AddDeepRecall(o =>
        {
            o.Backend = "main";
            o.Backends["far"] = new Backends.BackendOptions { Provider = "vllm", ModelName = "m" };
        }).WithModel("main", Services.Answering("yes"));
        _services.AddHealthChecks().AddDeepRecallBackend("far");

        var entry = Assert.Single(await CheckAsync()).Value;

        Assert.Equal(HealthStatus.Unhealthy, entry.Status);
        Assert.Contains("BaseUrl is not set", entry.Description, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LocalSandbox_TellsItsIsolation()
    {
        _services.AddDeepRecall(o => o.Backend = "main").WithModel("main", Services.Answering("yes"));
        _services.AddHealthChecks().AddDeepRecallSandbox();

        var (name, entry) = Assert.Single(await CheckAsync());

        Assert.Equal("deeprecall_sandbox", name);
        Assert.Equal("local", entry.Data["environment"]);
        Assert.NotEqual(HealthStatus.Unhealthy, entry.Status);
        Assert.Contains(entry.Data.Keys, key => key.StartsWith("isolation.", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true, HealthStatus.Healthy)]
    [InlineData(false, HealthStatus.Degraded)]
    public async Task IsolationThatIsNotComplete_IsDegraded(bool isHeld, HealthStatus expected)
    {
        _services.AddDeepRecall(o => o.Backend = "main").WithModel("main", Services.Answering("yes"))
            .AddSandbox("mine", _ => new TellingSandbox(() => new SandboxIsolation { Parts = [new SandboxIsolationPart("network", isHeld, "none")] }));
        _services.AddHealthChecks().AddDeepRecallSandbox("mine");

        Assert.Equal(expected, Assert.Single(await CheckAsync()).Value.Status);
    }

    [Fact]
    public async Task SandboxThatCannotStart_IsUnhealthy_AndSaysWhy()
    {
        _services.AddDeepRecall(o => o.Backend = "main").WithModel("main", Services.Answering("yes"))
            .AddSandbox("mine", _ => new TellingSandbox(() => throw new SandboxException("there is no engine")));
        _services.AddHealthChecks().AddDeepRecallSandbox("mine");

        var entry = Assert.Single(await CheckAsync()).Value;

        Assert.Equal((HealthStatus.Unhealthy, "The environment mine is not usable: there is no engine"), (entry.Status, entry.Description));
    }

    private async Task<IReadOnlyDictionary<string, HealthReportEntry>> CheckAsync()
    {
        await using var provider = _services.BuildServiceProvider();
        return (await provider.GetRequiredService<HealthCheckService>().CheckHealthAsync(Token)).Entries;
    }

    private sealed class TellingSandbox(Func<SandboxIsolation> isolation) : ISandbox
    {
        public string Name => "telling";

        public string Description => "It only tells.";

        public Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<SandboxIsolation?> GetIsolationAsync(CancellationToken cancellationToken) => Task.FromResult<SandboxIsolation?>(isolation());
    }
}
