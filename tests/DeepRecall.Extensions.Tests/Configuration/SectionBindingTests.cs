using DeepRecall.Sandboxes.Local;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace DeepRecall.Tests.Configuration;

public sealed class SectionBindingTests
{
    private const string Key = "DeepRecall:Backends:openai:ApiKey";

    private const string Design = """
        { "DeepRecall": {
            "Backend": "openai", "OtherBackends": [ "mini" ],
            "Backends": {
              "openai": { "ModelName": "gpt-4o" },
              "mini":   { "Provider": "openai", "ModelName": "gpt-4o-mini" },
              "azure":  { "Provider": "azure_openai", "ModelName": "my-deployment", "BaseUrl": "https://my-resource.openai.azure.com/", "ApiVersion": "2024-02-15-preview" } },
            "Environment": "docker", "Environments": { "docker": { "Image": "python:3.12-slim" } },
            "MaxIterations": 15, "MaxDepth": 1 } }
        """;

    [Fact]
    public void WholeSection_IsBound()
    {
        var options = Bind(Design, (Key, "sk-1"), ("DeepRecall:Backends:mini:ApiKey", "sk-2"));

        Assert.Equal(("openai", "docker", 15, 1), (options.Backend, options.Environment, options.MaxIterations, options.MaxDepth));
        Assert.Equal(["mini"], options.OtherBackends);
        Assert.Equal(["azure", "mini", "openai"], options.Backends.Keys.Order());
        Assert.Equal(("gpt-4o", "sk-1"), (options.Backends["openai"].ModelName, options.Backends["openai"].ApiKey));
        Assert.Equal(("azure_openai", "2024-02-15-preview"), (options.Backends["azure"].Provider, options.Backends["azure"].ApiVersion));
        Assert.Equal("python:3.12-slim", options.Environments["docker"].Docker.Image);
    }

    [Fact]
    public void EveryKindOfValue_IsBound()
    {
        var options = Bind(
            """
            { "DeepRecall": {
                "Backends": { "ollama": { "ModelName": "llama3.1", "Timeout": "00:01:30", "Headers": { "X-Team": "a" }, "Pricing": { "InputPerMillion": 0.5, "OutputPerMillion": 2 }, "ReasoningEffort": "High" } },
                "Environment": "safe",
                "Environments": { "safe": { "Provider": "local", "Isolation": "Required", "ReadablePaths": [ "/usr/share" ], "MemoryLimit": 5368709120, "Pool": { "Size": 3 } } },
                "SubClientByDepth": { "0": "ollama" }, "OtherBackends": [ "ollama" ],
                "MaxDuration": "00:10:00", "MaxCostUsd": 1.25, "CompactionThreshold": null, "OnLimit": "Throw", "CodeFences": "Repl, Untagged",
                "ApprovedTools": [ "send" ], "ChildTools": [ "look" ], "Persistent": true } }
            """);

        var backend = options.Backends["ollama"];
        Assert.Equal((TimeSpan.FromSeconds(90), "a", 0.5m, 2m), (backend.Timeout, backend.Headers["X-Team"], backend.Pricing!.InputPerMillion, backend.Pricing.OutputPerMillion));
        Assert.Equal(Microsoft.Extensions.AI.ReasoningEffort.High, backend.ReasoningEffort);
        var environment = options.Environments["safe"];
        Assert.Equal((LocalIsolation.Required, 5L << 30, 3), (environment.Local.Isolation, environment.Local.MemoryLimit, environment.Pool.Size));
        Assert.Equal(["/usr/share"], environment.Local.ReadablePaths);
        Assert.Equal("ollama", options.SubClientByDepth[0]);
        Assert.Equal((TimeSpan.FromMinutes(10), 1.25m, LimitBehavior.Throw), (options.MaxDuration, options.MaxCostUsd, options.OnLimit));
        Assert.Null(options.CompactionThreshold);
        Assert.Equal(CodeFences.Repl | CodeFences.Untagged, options.CodeFences);
        Assert.Equal(["send"], options.ApprovedTools);
        Assert.Equal(["look"], options.ChildTools!);
        Assert.True(options.Persistent);
    }

    [Theory]
    [InlineData("""{ "MaxIteration": 3 }""", "DeepRecall:MaxIteration is no setting of DeepRecall; did you mean MaxIterations?")]
    [InlineData("""{ "Backends": { "openai": { "ModelNmae": "gpt-4o" } } }""", "DeepRecall:Backends:openai:ModelNmae is no setting of DeepRecall:Backends:openai; did you mean ModelName?")]
    [InlineData("""{ "Backends": { "openai": { "Pricing": { "Input": 1 } } } }""", "DeepRecall:Backends:openai:Pricing:Input is no setting of DeepRecall:Backends:openai:Pricing; they are: InputPerMillion")]
    [InlineData("""{ "Environments": { "docker": { "Imagee": "x" } } }""", "DeepRecall:Environments:docker:Imagee is no setting of DeepRecall:Environments:docker; did you mean Image?")]
    [InlineData("""{ "Environments": { "mine": { "Provider": "e2b", "Image": "x" } } }""", "DeepRecall:Environments:mine:Image is no setting of DeepRecall:Environments:mine; they are: Provider, Pool, ApiKey")]
    [InlineData("""{ "Backends": "openai" }""", "DeepRecall:Backends is 'openai'; it must be a section.")]
    [InlineData("""{ "OtherBackends": "mini" }""", "DeepRecall:OtherBackends is 'mini'; it must be a list.")]
    [InlineData("""{ "Backend": { "Name": "openai" } }""", "DeepRecall:Backend is a section; it must be a value.")]
    [InlineData("""{ "Sandbox": "local" }""", "DeepRecall:Sandbox is no setting of DeepRecall")]
    [InlineData("""{ "MaxIterations": "many" }""", "DeepRecall:MaxIterations")]
    [InlineData("""{ "MaxDuration": "soon" }""", "DeepRecall:MaxDuration")]
    [InlineData("""{ "Environments": { "local": { "Isolation": "Maybe" } } }""", "DeepRecall:Environments:local:Isolation")]
    public void WrongKeyOrValue_IsToldWithItsPath(string section, string expected)
    {
        var error = Assert.Throws<OptionsValidationException>(() => Bind($$"""{ "DeepRecall": {{section}} }"""));

        Assert.Contains(error.Failures, failure => failure.Contains(expected, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{ "Backend": "openai", "MaxIterations": 0 }""", "DeepRecall:MaxIterations is 0; it must be 1 or more.")]
    [InlineData("""{ "Backend": "opnai" }""", "DeepRecall:Backend is 'opnai', which is no entry of DeepRecall:Backends and no key of a registered IChatClient; did you mean openai?")]
    [InlineData("""{ "OtherBackends": [ "mini" ] }""", "DeepRecall:OtherBackends:0 is 'mini', which is no entry")]
    [InlineData("""{ }""", "DeepRecall:Backend is not set, and no IChatClient is registered; set it to one of openai,")]
    [InlineData("""{ "Backends": { "a": { "Provider": "vllm" }, "b": { "Provider": "ollama" } } }""", "DeepRecall:Backend is not set; it must be one of a, b.")]
    [InlineData("""{ "Backends": { "a": { "Provider": "opena" } } }""", "DeepRecall:Backends:a:Provider is 'opena'; did you mean openai?")]
    [InlineData("""{ "Backends": { "mini": { "ModelName": "x" } } }""", "DeepRecall:Backends:mini:Provider is not set, and the key 'mini' is no provider; it must be one of")]
    [InlineData("""{ "Backend": "vllm" }""", "DeepRecall:Backends:vllm:ModelName is not set")]
    [InlineData("""{ "Backends": { "vllm": { "ModelName": "m" } } }""", "DeepRecall:Backends:vllm:BaseUrl is not set")]
    [InlineData("""{ "Backends": { "ollama": { "ModelName": "m", "MaxRetries": 50 } } }""", "DeepRecall:Backends:ollama:MaxRetries is 50; it must be from 0 to 20")]
    [InlineData("""{ "MaxCostUsd": 1, "Backends": { "ollama": { "ModelName": "m" } } }""", "DeepRecall:MaxCostUsd is 1, and DeepRecall:Backends:ollama:Pricing is not set")]
    [InlineData("""{ "Environment": "dcoker" }""", "DeepRecall:Environment is 'dcoker', which is no entry of DeepRecall:Environments and no key of a registered ISandbox; did you mean docker?")]
    [InlineData("""{ "Environments": { "mine": { } , "yours": { "Provider": "cloud" } } }""", "DeepRecall:Environments:yours:Provider is 'cloud'; it must be one of local, docker")]
    [InlineData("""{ "Environment": "docker", "Environments": { "docker": { "MemoryMB": 1 } } }""", "DeepRecall:Environments:docker:MemoryMB is '1'; it must be at least 64.")]
    [InlineData("""{ "Environments": { "local": { "Pool": { "Size": -1 } } } }""", "DeepRecall:Environments:local:Pool:Size is -1; it must be 0 or more.")]
    [InlineData("""{ "Environments": { "local": { "Pool": { "StartTimeout": "00:00:00" } } } }""", "DeepRecall:Environments:local:Pool:StartTimeout is 00:00:00; it must be more than zero, or infinite.")]
    [InlineData("""{ "SubClientByDepth": { "0": "mini" } }""", "DeepRecall:SubClientByDepth[0] is 'mini', which is no sub-client")]
    public void OptionsThatCannotWork_AreToldWithTheirPaths(string section, string expected)
    {
        var error = Assert.Throws<OptionsValidationException>(() => Bind($$"""{ "DeepRecall": {{section}} }"""));

        Assert.Contains(error.Failures, failure => failure.StartsWith(expected, StringComparison.Ordinal));
    }

    [Fact]
    public void KeysThatTheCodeMissesAreNotShown()
    {
        var error = Assert.Throws<OptionsValidationException>(() => Bind(
            """{ "DeepRecall": { "Backends": { "openai": { "ApiKey": "sk-secret-1", "Timeout": "00:00:00", "ModelName": "m" } } } }"""));

        Assert.DoesNotContain("sk-secret-1", error.ToString(), StringComparison.Ordinal);
        Assert.Contains("DeepRecall:Backends:openai:Timeout", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SectionThatIsAddedTwice_IsBoundOnce()
    {
        var configuration = Services.Configuration(Design, (Key, "k"), ("DeepRecall:Backends:mini:ApiKey", "k"));
        var services = new ServiceCollection();
        services.AddDeepRecall(configuration.Section());
        services.AddDeepRecall(configuration.Section());
        using var provider = services.BuildServiceProvider();

        Assert.Equal(["mini"], provider.GetRequiredService<IOptions<DeepRecallServiceOptions>>().Value.OtherBackends);
    }

    public static TheoryData<string> Samples() => [.. Directory.EnumerateFiles(Path.Combine(BuildPaths.Examples, "Configuration"), "*.json", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(BuildPaths.Examples, path)).Order()];

    [Theory]
    [MemberData(nameof(Samples))]
    public void Sample_IsValid(string path)
    {
        var configuration = Services.Configuration(File.ReadAllText(Path.Combine(BuildPaths.Examples, path)));
        foreach (var backend in configuration.GetSection("DeepRecall:Backends").GetChildren())
        {
            backend["ApiKey"] = "test-key";
        }

        if (!configuration.GetSection("DeepRecall:Backends").Exists())
        {
            configuration["DeepRecall:Backends:ollama:ModelName"] = "llama3.1";
            configuration["DeepRecall:Backends:ollama:Pricing:InputPerMillion"] = "0";
        }

        var environment = configuration.GetSection($"DeepRecall:Environments:{configuration["DeepRecall:Environment"]}");
        foreach (var key in environment.Key switch { "e2b" or "daytona" or "prime" => ["ApiKey"], "modal" => ["TokenId", "TokenSecret"], _ => Array.Empty<string>() })
        {
            environment[key] = "test-key";
        }

        var options = Bind(configuration);

        Assert.True(options.Backends.Count + options.Environments.Count > 0);
    }

    [Fact]
    public void Samples_AreThereForEveryBackendAndEnvironment()
    {
        var directory = Path.Combine(BuildPaths.Examples, "Configuration");

        Assert.All(DeepRecall.Backends.BackendNames.All, name => Assert.True(File.Exists(Path.Combine(directory, "backends", $"{name}.json")), name));
        Assert.All(EnvironmentNames.All, name => Assert.True(File.Exists(Path.Combine(directory, "environments", $"{name}.json")), name));
    }

    private static DeepRecallServiceOptions Bind(string json, params (string Key, string? Value)[] more) => Bind(Services.Configuration(json, more));

    private static DeepRecallServiceOptions Bind(IConfigurationRoot configuration)
    {
        var services = new ServiceCollection();
        services.AddDeepRecall(configuration.Section());
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<DeepRecallServiceOptions>>().Value;
    }
}
