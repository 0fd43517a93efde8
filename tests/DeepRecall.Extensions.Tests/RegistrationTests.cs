using DeepRecall.Backends;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace DeepRecall.Tests;

public sealed class RegistrationTests
{
    private static CancellationToken Token => Services.Token;

    [Fact]
    public async Task Client_IsThere_ByItsKeyAndWithout()
    {
        await using var provider = new ServiceCollection().With(services => services.AddDeepRecall(o => o.Backend = "main").WithModel("main", Services.Answering("yes"))).BuildServiceProvider();

        var client = provider.GetRequiredService<IChatClient>();
        var response = await client.GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal("yes", response.Text);
        Assert.Equal("local", response.GetTrajectory()!.Environment);
        Assert.Same(client, provider.GetRequiredKeyedService<IChatClient>("deeprecall"));
        Assert.NotNull(client.GetService<DeepRecallChatClient>());
    }

    [Fact]
    public async Task Streamed_ItIsTheSame()
    {
        await using var provider = new ServiceCollection().With(services => services.AddDeepRecall(o => o.Backend = "main").WithModel("main", Services.Answering("yes"))).BuildServiceProvider();

        var response = await provider.GetRequiredService<IChatClient>().GetStreamingResponseAsync(Script.About("text"), cancellationToken: Token).ToChatResponseAsync(Token);

        Assert.Equal("yes", response.Text);
        Assert.NotNull(response.GetTrajectory());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClientOfTheApplication_StaysTheOneWithoutAKey_WhicheverIsFirst(bool isFirst)
    {
        using var own = Services.Answering("own");
        var services = new ServiceCollection();
        if (isFirst)
        {
            services.AddChatClient(own);
        }

        services.AddDeepRecall(o => o.Backend = "main").WithModel("main", Services.Answering("yes"));
        if (!isFirst)
        {
            services.AddChatClient(own);
        }

        await using var provider = services.BuildServiceProvider();

        Assert.Same(own, provider.GetRequiredService<IChatClient>());
        Assert.Equal("yes", (await provider.GetRequiredKeyedService<IChatClient>("deeprecall").GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task WithoutABackend_TheClientOfTheApplicationIsTheRootModel(bool isFirst)
    {
        using var own = Services.Answering("own");
        var services = new ServiceCollection();
        if (isFirst)
        {
            services.AddChatClient(own);
        }

        services.AddDeepRecall();
        if (!isFirst)
        {
            services.AddChatClient(own);
        }

        await using var provider = services.BuildServiceProvider();

        var response = await provider.GetRequiredKeyedService<IChatClient>("deeprecall").GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal("own", response.Text);
        Assert.Single(own.Requests);
    }

    [Fact]
    public async Task EveryBackendAndEnvironment_HasAService_ThatNeedsNoKeyUntilItIsUsed()
    {
        await using var provider = new ServiceCollection().With(services => services.AddDeepRecall(o => o.Backends["mini"] = new BackendOptions { Provider = "openai" })).BuildServiceProvider();

        Assert.All([.. BackendNames.All, "mini"], name => Assert.NotNull(provider.GetRequiredKeyedService<IChatClient>(name)));
        Assert.All(EnvironmentNames.All, name => Assert.NotNull(provider.GetRequiredKeyedService<ISandbox>(name)));
        Assert.Null(provider.GetKeyedService<IChatClient>("other"));
    }

    [Fact]
    public async Task UnusedEntries_AreNotLookedAt()
    {
        var section = Services.Configuration(
            """{ "DeepRecall": { "Backend": "main", "Backends": { "spare": { "Provider": "openai" }, "far": { "Provider": "vllm" } }, "Environments": { "e2b": { "Template": "mine" } } } }""").Section();
        await using var provider = new ServiceCollection().With(services => services.AddDeepRecall(section).WithModel("main", Services.Answering("yes"))).BuildServiceProvider();

        Assert.Equal("yes", (await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
        var error = Assert.Throws<ArgumentException>(() => provider.GetRequiredKeyedService<IChatClient>("far").GetService<ChatClientMetadata>());
        Assert.Contains("'far'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AddedTwice_NothingIsThereTwice()
    {
        var services = new ServiceCollection();
        services.AddDeepRecall();
        var once = services.Count;
        services.AddDeepRecall();

        Assert.Equal(once, services.Count);
    }

    [Fact]
    public async Task Calls_AddUpInTheirOrder()
    {
        var services = new ServiceCollection();
        services.AddDeepRecall(o =>
        {
            o.Backend = "main";
            o.MaxIterations = 3;
        });
        services.AddDeepRecall(Services.Configuration("""{ "DeepRecall": { "MaxIterations": 4, "MaxDepth": 2 } }""").Section());
        services.Configure<DeepRecallServiceOptions>(o => o.MaxDepth = 3);
        services.AddDeepRecall().WithModel("main", Services.Answering("yes"));
        await using var provider = services.BuildServiceProvider();

        var options = provider.GetRequiredService<IOptions<DeepRecallServiceOptions>>().Value;

        Assert.Equal(("main", 4, 3), (options.Backend, options.MaxIterations, options.MaxDepth));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ServiceOfTheApplication_UnderAKnownKey_Wins_WhicheverIsFirst(bool isFirst)
    {
        using var own = Services.Answering("own");
        var sandbox = new LocalSandbox();
        var services = new ServiceCollection();
        if (isFirst)
        {
            Register();
        }

        services.AddDeepRecall(o =>
        {
            o.Backend = "openai";
            o.Environment = "docker";
        });
        if (!isFirst)
        {
            Register();
        }

        await using var provider = services.BuildServiceProvider();

        Assert.Equal("own", (await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
        Assert.Same(sandbox, provider.GetRequiredKeyedService<ISandbox>("docker"));

        void Register()
        {
            services.AddKeyedChatClient("openai", own);
            services.AddKeyedSingleton<ISandbox>("docker", sandbox);
        }
    }

    [Fact]
    public async Task OtherBackends_AreWhatCodeCanCall_TheFirstByDefault()
    {
        await using var provider = new ServiceCollection().With(services => services
            .AddDeepRecall(o =>
            {
                o.Backend = "main";
                o.OtherBackends.Add("mini");
                o.OtherBackends.Add("maxi");
            })
            .WithModel("main", new ScriptedChatClient(Script.Answer("llm_query('a') + ' ' + llm_query('b', model='maxi')")))
            .WithModel("mini", new ScriptedChatClient(_ => "small"))
            .WithModel("maxi", new ScriptedChatClient(_ => "large"))).BuildServiceProvider();

        Assert.Equal("small large", (await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
    }

    [Fact]
    public async Task PipelineSteps_AreAroundTheModelsTheyAreFor()
    {
        List<string> seen = [];
        await using var provider = new ServiceCollection().With(services => services
            .AddDeepRecall(o =>
            {
                o.Backend = "main";
                o.OtherBackends.Add("mini");
            })
            .WithModel("main", new ScriptedChatClient(Script.Answer("llm_query('a')")))
            .WithModel("mini", new ScriptedChatClient(_ => "small"))
            .ConfigureMainClient(pipeline => pipeline.Use((messages, options, next, token) => Note("main outer", () => next(messages, options, token))))
            .ConfigureMainClient(pipeline => pipeline.Use((messages, options, next, token) => Note("main inner", () => next(messages, options, token))))
            .ConfigureSubClients((_, pipeline) => pipeline.Use((messages, options, next, token) => Note("sub", () => next(messages, options, token))))).BuildServiceProvider();

        Assert.Equal("small", (await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
        Assert.Equal(["main outer", "main inner", "sub"], seen);

        Task Note(string what, Func<Task> next)
        {
            seen.Add(what);
            return next();
        }
    }

    [Fact]
    public async Task KeyedRegistrations_AreApart_AndShareWhatTheyHaveNoEntryFor()
    {
        var services = new ServiceCollection();
        services.AddDeepRecall(o => o.Backend = "main").WithModel("main", Services.Answering("first")).WithModel("mini", new ScriptedChatClient(_ => "shared"));
        services.AddKeyedDeepRecall("research", Services.Configuration("""{ "DeepRecall": { "Backend": "main", "OtherBackends": [ "mini" ], "MaxIterations": 2 } }""").Section())
            .WithModel("main", new ScriptedChatClient(Script.Answer("llm_query('a')")));
        await using var provider = services.BuildServiceProvider();

        Assert.Equal("first", (await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
        Assert.Equal("shared", (await provider.GetRequiredKeyedService<IChatClient>("research").GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
        Assert.NotSame(provider.GetRequiredKeyedService<IChatClient>("main"), provider.GetRequiredKeyedService<IChatClient>("research:main"));
        Assert.Equal((15, 2), (Options(string.Empty).MaxIterations, Options("research").MaxIterations));

        DeepRecallServiceOptions Options(string name) => provider.GetRequiredService<IOptionsMonitor<DeepRecallServiceOptions>>().Get(name);
    }

    [Fact]
    public async Task OptionsThatNeedServices_GetThem()
    {
        await using var provider = new ServiceCollection().With(services => services
            .AddSingleton(new SubClient("own", new ScriptedChatClient(_ => "service")))
            .AddDeepRecall(o => o.Backend = "main")
            .Configure((all, o) => o.SubClients.Add(all.GetRequiredService<SubClient>()))
            .WithModel("main", new ScriptedChatClient(Script.Answer("llm_query('a')")))).BuildServiceProvider();

        Assert.Equal("service", (await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token)).Text);
    }

    [Fact]
    public async Task HttpClients_AreThoseOfTheFactory_ByTheEntrysName()
    {
        await using var server = await FakeOpenAI.StartAsync(_ => Script.Answer("'over the wire'"));
        var seen = 0;
        var services = new ServiceCollection();
        services.AddHttpClient("DeepRecall.main").AddHttpMessageHandler(() => new CountingHandler(() => Interlocked.Increment(ref seen)));
        services.AddDeepRecall().AddBackend("main", entry =>
        {
            entry.Provider = "openai";
            entry.ModelName = "gpt-4o";
            entry.ApiKey = "sk-1";
            entry.BaseUrl = server.BaseUrl;
        });
        await using var provider = services.BuildServiceProvider();

        var response = await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token);

        Assert.Equal(("over the wire", 1), (response.Text, seen));
        Assert.Equal("Bearer sk-1", server.Requests.Single().Authorization);
        Assert.Equal("gpt-4o", provider.GetRequiredKeyedService<IChatClient>("main").GetService<ChatClientMetadata>()!.DefaultModelId);
    }

    [Fact]
    public async Task Provider_ThatIsDisposed_LeavesNothing()
    {
        using var scratch = new ScratchRoot();
        var services = new ServiceCollection();
        services.AddDeepRecall(o =>
        {
            o.Backend = "main";
            o.Persistent = true;
            o.Environments["local"] = new EnvironmentOptions { Local = { ScratchRoot = scratch.Path }, Pool = { Size = 2 } };
        }).WithModel("main", Services.Answering("yes"));
        var provider = services.BuildServiceProvider();
        await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token);
        Assert.NotEmpty(scratch.Left());

        await provider.DisposeAsync();

        await scratch.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task Provider_ThatIsDisposedSynchronously_LeavesNothingEither()
    {
        using var scratch = new ScratchRoot();
        var services = new ServiceCollection();
        services.AddDeepRecall(o =>
        {
            o.Backend = "main";
            o.Environments["local"] = new EnvironmentOptions { Local = { ScratchRoot = scratch.Path }, Pool = { Size = 1 } };
        }).WithModel("main", Services.Answering("yes"));
        var provider = services.BuildServiceProvider();
        await provider.GetRequiredService<IChatClient>().GetResponseAsync(Script.About("text"), cancellationToken: Token);

        provider.Dispose();

        await scratch.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public void Keys_AreNotInTheTextOfOptions() =>
        Assert.DoesNotContain("sk-1", new BackendOptions { Name = "main", Provider = "openai", ApiKey = "sk-1" }.ToString(), StringComparison.Ordinal);

    [Fact]
    public void Arguments_AreChecked()
    {
        var services = new ServiceCollection();
        var builder = services.AddDeepRecall();

        Assert.Throws<ArgumentNullException>("services", () => ((IServiceCollection)null!).AddDeepRecall());
        Assert.Throws<ArgumentNullException>("configure", () => services.AddDeepRecall((Action<DeepRecallServiceOptions>)null!));
        Assert.Throws<ArgumentNullException>("section", () => services.AddDeepRecall((Microsoft.Extensions.Configuration.IConfigurationSection)null!));
        Assert.Throws<ArgumentException>("serviceKey", () => services.AddKeyedDeepRecall(" "));
        Assert.Throws<ArgumentException>("name", () => builder.AddBackend(" ", _ => Services.Answering("yes")));
        Assert.Throws<ArgumentNullException>("create", () => builder.AddSandbox("mine", null!));
    }

    private sealed class CountingHandler(Action seen) : DelegatingHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            seen();
            return base.SendAsync(request, cancellationToken);
        }
    }
}
