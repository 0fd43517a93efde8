using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall.Tests;

public sealed class DeepRecallChatClientOptionsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, Action<DeepRecallOptions>> Invalid => new()
    {
        { "MaxIterations is 0; it must be 1 or more.", options => options.MaxIterations = 0 },
        { "MaxDepth is 0; it must be 1 or more.", options => options.MaxDepth = 0 },
        { "MaxConcurrentSubcalls is -1; it must be 1 or more.", options => options.MaxConcurrentSubcalls = -1 },
        { "MaxOutputChars is 199; it must be 200 or more.", options => options.MaxOutputChars = 199 },
        { "CellTimeout is 00:00:00; it must be more than zero", options => options.CellTimeout = TimeSpan.Zero },
        { "CellTimeout is -00:00:01; it must be more than zero", options => options.CellTimeout = TimeSpan.FromSeconds(-1) },
        { "CellTimeout is 365.00:00:00; it must be more than zero and at most 25 days, or Timeout.InfiniteTimeSpan.", options => options.CellTimeout = TimeSpan.FromDays(365) },
        { "InterruptGracePeriod is 00:00:00; it must be more than zero", options => options.InterruptGracePeriod = TimeSpan.Zero },
        { "InterruptGracePeriod is -00:00:00.0010000; it must be more than zero and at most 25 days.", options => options.InterruptGracePeriod = Timeout.InfiniteTimeSpan },
        { "SandboxStartTimeout is 00:00:00; it must be more than zero", options => options.SandboxStartTimeout = TimeSpan.Zero },
        { "CodeFences is 8; it must be a combination of Repl, Python and Untagged.", options => options.CodeFences = (CodeFences)8 },
        { "SubClients[0] is null.", options => options.SubClients.Add(null!) },
        { "SubClients has two entries named 'a'; names must differ.", options => Add(options, "a", "b", "a") },
        { "Sandbox is not set", options => options.Sandbox = null },
    };

    [Theory]
    [MemberData(nameof(Invalid), DisableDiscoveryEnumeration = true)]
    public void InvalidValue_IsNamedWhenTheClientIsMade(string told, Action<DeepRecallOptions> configure)
    {
        var error = Assert.Throws<ArgumentException>(() => Plan.Client(new ScriptedChatClient("unused"), configure));

        Assert.Contains(told, error.Message, StringComparison.Ordinal);
        Assert.Contains("DeepRecallOptions", error.Message, StringComparison.Ordinal);
        Assert.Equal("options", error.ParamName);
    }

    [Fact]
    public void InvalidValues_AreAllNamed()
    {
        var error = Assert.Throws<ArgumentException>(() => Plan.Client(new ScriptedChatClient("unused"), options =>
        {
            options.MaxIterations = 0;
            options.MaxDepth = -3;
            options.CellTimeout = TimeSpan.Zero;
        }));

        Assert.All(["MaxIterations is 0", "MaxDepth is -3", "CellTimeout is 00:00:00"], told => Assert.Contains(told, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void Limits_AreAllowed()
    {
        using var least = Plan.Client(new ScriptedChatClient("unused"), options =>
        {
            options.MaxIterations = options.MaxDepth = options.MaxConcurrentSubcalls = 1;
            options.MaxOutputChars = 200;
            options.CellTimeout = options.SandboxStartTimeout = Timeout.InfiniteTimeSpan;
            options.CodeFences = CodeFences.None;
        });

        Assert.NotNull(least);
    }

    [Fact]
    public void Defaults_AreAsDocumented()
    {
        var options = new DeepRecallOptions();

        Assert.Equal((15, 1, 16, 20_000), (options.MaxIterations, options.MaxDepth, options.MaxConcurrentSubcalls, options.MaxOutputChars));
        Assert.Equal((120d, 2d, 60d), (options.CellTimeout.TotalSeconds, options.InterruptGracePeriod.TotalSeconds, options.SandboxStartTimeout.TotalSeconds));
        Assert.Equal(CodeFences.Repl | CodeFences.Python, options.CodeFences);
        Assert.True(options.AcceptFinalText);
        Assert.Null(options.Sandbox);
        Assert.Empty(options.SubClients);
    }

    [Fact]
    public void NullArguments_AreRefusedByName()
    {
        using var model = new ScriptedChatClient("unused");

        Assert.Equal("innerClient", Assert.Throws<ArgumentNullException>(() => new DeepRecallChatClient(null!, new DeepRecallOptions { Sandbox = new LocalSandbox() })).ParamName);
        Assert.Equal("options", Assert.Throws<ArgumentNullException>(() => new DeepRecallChatClient(model, null!)).ParamName);
        Assert.Equal("name", Assert.Throws<ArgumentException>(() => new SubClient(" ", model)).ParamName);
        Assert.Equal("client", Assert.Throws<ArgumentNullException>(() => new SubClient("sub", null!)).ParamName);
        Assert.Equal("builder", Assert.Throws<ArgumentNullException>(() => DeepRecallChatClientBuilderExtensions.UseDeepRecall(null!)).ParamName);
    }

    [Fact]
    public async Task Client_DoesNotSeeLaterChangesOfItsOptions()
    {
        var options = new DeepRecallOptions { Sandbox = new LocalSandbox(), MaxIterations = 3 };
        Add(options, "one");
        var model = new ScriptedChatClient(Script.Answer("llm_query('q', model='two')"));
        using var first = new DeepRecallChatClient(model, options);
        options.MaxIterations = 7;
        options.Sandbox = null;
        Add(options, "two");
        options.Sandbox = new LocalSandbox();
        using var second = new DeepRecallChatClient(model, options);

        var one = await first.GetResponseAsync(Script.About("text"), cancellationToken: Token);
        var two = await second.GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal("Error: there is no model 'two'; the models are: one", one.Text);
        Assert.Equal("two", two.Text);
        Assert.Contains("You have 3 turns", model.Requests[0].Messages[0].Text, StringComparison.Ordinal);
        Assert.Contains("You have 7 turns", model.Requests[1].Messages[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task UseDeepRecall_TakesTheSandboxOfTheOptions()
    {
        using var sandbox = new RecordingSandbox();
        using var client = new ScriptedChatClient(Script.Answer("context")).AsBuilder().UseDeepRecall(options => options.Sandbox = sandbox).Build();

        var response = await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal("text", response.Text);
        Assert.Equal(1, sandbox.Starts);
    }

    [Fact]
    public async Task UseDeepRecall_TakesTheSandboxOfTheServiceProviderWhenTheOptionsHaveNone()
    {
        using var registered = new RecordingSandbox();
        using var own = new RecordingSandbox();
        await using var services = new ServiceCollection().AddSingleton<ISandbox>(registered).BuildServiceProvider();
        using var model = new ScriptedChatClient(Script.Answer("context"));
        using var byServices = model.AsBuilder().UseDeepRecall().Build(services);
        using var byOptions = model.AsBuilder().UseDeepRecall(options => options.Sandbox = own).Build(services);

        await byServices.GetResponseAsync(Script.About("text"), cancellationToken: Token);
        await byOptions.GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal((1, 1), (registered.Starts, own.Starts));
    }

    [Fact]
    public void UseDeepRecall_WithoutASandboxSaysWhatToDo()
    {
        var builder = new ScriptedChatClient("unused").AsBuilder().UseDeepRecall();

        var error = Assert.Throws<InvalidOperationException>(() => builder.Build());

        Assert.Contains("DeepRecallOptions.Sandbox", error.Message, StringComparison.Ordinal);
        Assert.Contains("ISandbox", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void GetService_FindsTheClientAndTheMetadataOfTheModel()
    {
        using var model = new ScriptedChatClient("unused");
        using var client = new ScriptedPipeline(model).Build();

        Assert.IsType<DeepRecallChatClient>(client.GetService<DeepRecallChatClient>());
        Assert.Same(model.Metadata, client.GetService<ChatClientMetadata>());
        Assert.Same(model, client.GetService<ScriptedChatClient>());
        Assert.Null(client.GetService<DeepRecallChatClient>("a key"));
    }

    [Fact]
    public async Task OneDeepRecallAroundAnother_IsTwoRuns()
    {
        var inner = new ScriptedChatClient("I ask myself.\n" + Script.Answer("'```repl\\nFINAL(\"inner said: \" + context)\\n```'"));
        using var client = inner.AsBuilder()
            .UseDeepRecall(options => options.Sandbox = new LocalSandbox())
            .UseDeepRecall(options => options.Sandbox = new LocalSandbox())
            .Build();

        var response = await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal("inner said: text", response.Text);
        Assert.Equal(0, response.GetTrajectory()!.Depth);
    }

    private static void Add(DeepRecallOptions options, params string[] names)
    {
        foreach (var name in names)
        {
            options.SubClients.Add(new SubClient(name, new ScriptedChatClient(name)));
        }
    }

    private sealed class ScriptedPipeline(ScriptedChatClient model)
    {
        public IChatClient Build() => model.AsBuilder()
            .UseDeepRecall(options => options.Sandbox = new LocalSandbox())
            .Use((messages, options, next, token) => next(messages, options, token))
            .Build();
    }
}
