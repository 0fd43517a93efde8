using System.ClientModel;
using System.ClientModel.Primitives;

namespace DeepRecall.Backends.Tests;

/// <summary>How options become settings: what the environment adds, what wins, and what is refused in which words.</summary>
public sealed class BackendSettingsTests
{
    [Theory]
    [InlineData(BackendNames.OpenAI, "OPENAI_API_KEY")]
    [InlineData(BackendNames.AzureOpenAI, "AZURE_OPENAI_API_KEY")]
    [InlineData(BackendNames.Portkey, "PORTKEY_API_KEY")]
    [InlineData(BackendNames.OpenRouter, "OPENROUTER_API_KEY")]
    [InlineData(BackendNames.Vllm, "VLLM_API_KEY")]
    [InlineData(BackendNames.LiteLlm, "LITELLM_API_KEY")]
    [InlineData(BackendNames.Vercel, "AI_GATEWAY_API_KEY")]
    [InlineData(BackendNames.Anthropic, "ANTHROPIC_API_KEY")]
    [InlineData(BackendNames.Gemini, "GEMINI_API_KEY")]
    [InlineData(BackendNames.Gemini, "GOOGLE_API_KEY")]
    [InlineData(BackendNames.AzureInference, "AZURE_INFERENCE_API_KEY")]
    public void Key_ComesFromItsVariable_UnlessTheOptionSetsIt(string provider, string variable)
    {
        var fromVariable = Resolve(OptionsOf(provider, apiKey: null), (variable, " from-variable "));
        var fromOption = Resolve(OptionsOf(provider, apiKey: "from-option"), (variable, "from-variable"));
        var fromBlankOption = Resolve(OptionsOf(provider, apiKey: " "), (variable, "from-variable"));

        Assert.Equal("from-variable", fromVariable.ApiKey);
        Assert.Equal("from-option", fromOption.ApiKey);
        Assert.Equal("from-variable", fromBlankOption.ApiKey);
    }

    [Fact]
    public void GeminiKey_IsThatOfGemini_WhenGoogleHasOneToo() =>
        Assert.Equal("gemini", Resolve(OptionsOf(BackendNames.Gemini, apiKey: null), ("GOOGLE_API_KEY", "google"), ("GEMINI_API_KEY", "gemini")).ApiKey);

    [Theory]
    [InlineData(BackendNames.OpenAI, "OPENAI_API_KEY")]
    [InlineData(BackendNames.AzureOpenAI, "AZURE_OPENAI_API_KEY")]
    [InlineData(BackendNames.Portkey, "PORTKEY_API_KEY")]
    [InlineData(BackendNames.OpenRouter, "OPENROUTER_API_KEY")]
    [InlineData(BackendNames.LiteLlm, "LITELLM_API_KEY")]
    [InlineData(BackendNames.Vercel, "AI_GATEWAY_API_KEY or PORTKEY_API_KEY")]
    [InlineData(BackendNames.Anthropic, "ANTHROPIC_API_KEY")]
    [InlineData(BackendNames.Gemini, "GEMINI_API_KEY or GOOGLE_API_KEY")]
    [InlineData(BackendNames.AzureInference, "AZURE_INFERENCE_API_KEY")]
    public void MissingKey_IsRefused_NamingTheOptionAndTheVariable(string provider, string variables) =>
        AssertRefused(OptionsOf(provider, apiKey: null), $"The backend '{provider}': BackendOptions.ApiKey is not set; set it, or the environment variable {variables}.");

    [Theory]
    [InlineData(BackendNames.Vllm)]
    [InlineData(BackendNames.Ollama)]
    public void MissingKey_IsFine_WhereServersHaveNone(string provider) =>
        Assert.Null(Resolve(OptionsOf(provider, apiKey: null)).ApiKey);

    [Theory]
    [InlineData(BackendNames.OpenAI, "https://api.openai.com/v1")]
    [InlineData(BackendNames.Portkey, "https://api.portkey.ai/v1")]
    [InlineData(BackendNames.OpenRouter, "https://openrouter.ai/api/v1")]
    [InlineData(BackendNames.LiteLlm, "http://localhost:4000/")]
    [InlineData(BackendNames.Vercel, "https://ai-gateway.vercel.sh/v1")]
    [InlineData(BackendNames.Anthropic, "https://api.anthropic.com/")]
    [InlineData(BackendNames.Gemini, "https://generativelanguage.googleapis.com/v1beta")]
    [InlineData(BackendNames.Ollama, "http://localhost:11434/")]
    public void Address_IsTheProvidersOwn_UnlessTheOptionSetsIt(string provider, string expected)
    {
        Assert.Equal(expected, Resolve(OptionsOf(provider, baseUrl: null)).BaseUrl.AbsoluteUri);
        Assert.Equal("https://proxy.example/x", Resolve(OptionsOf(provider, baseUrl: "https://proxy.example/x")).BaseUrl.AbsoluteUri);
    }

    [Theory]
    [InlineData(BackendNames.AzureOpenAI, "AZURE_OPENAI_ENDPOINT")]
    [InlineData(BackendNames.AzureInference, "AZURE_INFERENCE_ENDPOINT")]
    [InlineData(BackendNames.Ollama, "OLLAMA_HOST")]
    public void Address_ComesFromItsVariable_UnlessTheOptionSetsIt(string provider, string variable)
    {
        Assert.Equal("https://variable.example/", Resolve(OptionsOf(provider, baseUrl: null), (variable, "https://variable.example")).BaseUrl.AbsoluteUri);
        Assert.Equal("https://option.example/", Resolve(OptionsOf(provider, baseUrl: "https://option.example"), (variable, "https://variable.example")).BaseUrl.AbsoluteUri);
    }

    [Theory]
    [InlineData(BackendNames.AzureOpenAI, ", or the environment variable AZURE_OPENAI_ENDPOINT")]
    [InlineData(BackendNames.AzureInference, ", or the environment variable AZURE_INFERENCE_ENDPOINT")]
    [InlineData(BackendNames.Vllm, "")]
    public void MissingAddress_IsRefused_NamingTheOptionAndTheVariable(string provider, string variable) =>
        AssertRefused(OptionsOf(provider, baseUrl: null), $"The backend '{provider}': BackendOptions.BaseUrl is not set, and '{provider}' has no address of its own; set it{variable}.");

    [Theory]
    [InlineData("localhost:8000")]
    [InlineData("ftp://example.com")]
    [InlineData("/v1")]
    public void AddressThatIsNotHttp_IsRefused(string baseUrl) =>
        AssertRefused(OptionsOf(BackendNames.OpenAI, baseUrl: baseUrl), $"The backend 'openai': BackendOptions.BaseUrl is '{baseUrl}'; it must be an absolute http or https address.");

    [Theory]
    [InlineData("gpu-box", "http://gpu-box:11434/")]
    [InlineData("gpu-box:8080", "http://gpu-box:8080/")]
    [InlineData(":8080", "http://127.0.0.1:8080/")]
    [InlineData("0.0.0.0", "http://127.0.0.1:11434/")]
    [InlineData("0.0.0.0:8080", "http://127.0.0.1:8080/")]
    [InlineData("http://0.0.0.0:8080", "http://127.0.0.1:8080/")]
    [InlineData("10.0.0.0:8080", "http://10.0.0.0:8080/")]
    [InlineData("[::1]", "http://[::1]:11434/")]
    [InlineData("[::1]:8080", "http://[::1]:8080/")]
    [InlineData("gpu-box/ollama", "http://gpu-box:11434/ollama")]
    [InlineData("https://gpu-box", "https://gpu-box/")]
    [InlineData("http://gpu-box:8080/ollama", "http://gpu-box:8080/ollama")]
    public void OllamaHost_MayHaveAnyOfItsForms(string host, string expected) =>
        Assert.Equal(expected, Resolve(OptionsOf(BackendNames.Ollama, baseUrl: null), ("OLLAMA_HOST", host)).BaseUrl.AbsoluteUri);

    [Fact]
    public void AzuresVersion_ComesFromItsVariable_UnlessTheOptionSetsIt()
    {
        var options = OptionsOf(BackendNames.AzureOpenAI);
        Assert.Equal("2024-10-21", Resolve(options, ("AZURE_OPENAI_API_VERSION", "2024-10-21")).ApiVersion);

        options.ApiVersion = "preview";
        Assert.Equal("preview", Resolve(options, ("AZURE_OPENAI_API_VERSION", "2024-10-21")).ApiVersion);
        options.ApiVersion = null;
        options.BaseUrl = "https://r.openai.azure.com/openai/v1/";
        Assert.Null(Resolve(options, ("AZURE_OPENAI_API_VERSION", "2024-10-21")).ApiVersion); // the v1 API has no dated versions
        Assert.Null(Resolve(OptionsOf(BackendNames.OpenAI), ("AZURE_OPENAI_API_VERSION", "2024-10-21")).ApiVersion);
    }

    [Fact]
    public void Vercel_GoesThroughPortkey_WhenOnlyPortkeyHasAKey()
    {
        var settings = Resolve(OptionsOf(BackendNames.Vercel, apiKey: null, baseUrl: null), ("PORTKEY_API_KEY", "portkey"));

        Assert.True(settings.ThroughPortkey);
        Assert.Equal("portkey", settings.ApiKey);
        Assert.Equal("https://api.portkey.ai/v1", settings.BaseUrl.AbsoluteUri);
    }

    [Fact]
    public void Vercel_IsAskedItself_WhenItHasAKey()
    {
        var settings = Resolve(OptionsOf(BackendNames.Vercel, apiKey: null, baseUrl: null), ("PORTKEY_API_KEY", "portkey"), ("AI_GATEWAY_API_KEY", "vercel"));

        Assert.False(settings.ThroughPortkey);
        Assert.Equal("vercel", settings.ApiKey);
        Assert.Equal("https://ai-gateway.vercel.sh/v1", settings.BaseUrl.AbsoluteUri);
    }

    [Fact]
    public void VercelWithAVirtualKey_TakesPortkeysKey()
    {
        var options = OptionsOf(BackendNames.Vercel, apiKey: null);
        options.VirtualKey = "virtual";

        Assert.Equal("portkey", Resolve(options, ("PORTKEY_API_KEY", "portkey"), ("AI_GATEWAY_API_KEY", "vercel")).ApiKey);
        var error = Assert.Throws<ArgumentException>(() => Resolve(options, ("AI_GATEWAY_API_KEY", "vercel")));
        Assert.Equal("The backend 'vercel': BackendOptions.ApiKey is not set; set it, or the environment variable PORTKEY_API_KEY.", error.Message);
    }

    [Theory]
    [InlineData(BackendNames.OpenAI)]
    [InlineData(BackendNames.OpenRouter)]
    [InlineData(BackendNames.Anthropic)]
    public void VirtualKeyOfAProviderWithoutOne_IsRefused_AndNotShown(string provider)
    {
        var options = OptionsOf(provider);
        options.VirtualKey = "secret-virtual-key";

        AssertRefused(options, $"The backend '{provider}': BackendOptions.VirtualKey is set, but '{provider}' has no virtual keys; they are for portkey and vercel.");
    }

    [Fact]
    public void Credential_WinsOverTheKeysVariable()
    {
        var options = OptionsOf(BackendNames.AzureOpenAI, apiKey: null);
        options.Credential = new NoTokens();

        Assert.Null(Resolve(options, ("AZURE_OPENAI_API_KEY", "from-variable")).ApiKey);
    }

    [Fact]
    public void CredentialOfAProviderThatTakesKeys_IsRefused()
    {
        var options = OptionsOf(BackendNames.OpenAI);
        options.Credential = new NoTokens();

        AssertRefused(options, "The backend 'openai': BackendOptions.Credential is set, but 'openai' takes keys only; credentials are for azure_openai.");
    }

    [Fact]
    public void NeitherNameNorProvider_IsRefused_NamingAllProviders() =>
        AssertRefused(new BackendOptions(), $"BackendOptions.Provider is not set; it is one of {string.Join(", ", BackendNames.All)}. (Parameter 'options')");

    [Fact]
    public void UnknownProvider_IsRefused_NamingAllProviders() =>
        AssertRefused(
            new BackendOptions { Name = "mini", Provider = "OpenAi" },
            $"The backend 'mini': BackendOptions.Provider is 'OpenAi'; it must be one of {string.Join(", ", BackendNames.All)}.");

    [Fact]
    public void Provider_IsTheName_WhenItIsNotSet()
    {
        var options = OptionsOf(BackendNames.OpenAI);
        (options.Name, options.Provider) = (BackendNames.OpenRouter, null);

        Assert.Equal(BackendNames.OpenRouter, Resolve(options).Provider.Name);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("  ")]
    public void MissingModel_IsRefused(string? model)
    {
        var options = OptionsOf(BackendNames.OpenAI);
        options.Name = "mini";
        options.ModelName = model;

        AssertRefused(options, "The backend 'mini': BackendOptions.ModelName is not set; it names the model, or the deployment.");
    }

    public static TheoryData<string, string> OutOfRange => new()
    {
        { "Timeout=-00:00:01", "BackendOptions.Timeout is -00:00:01; it must be more than zero and at most 24 days." },
        { "Timeout=00:00:00", "BackendOptions.Timeout is 00:00:00; it must be more than zero and at most 24 days." },
        { "Timeout=25.00:00:00", "BackendOptions.Timeout is 25.00:00:00; it must be more than zero and at most 24 days." },
        { "MaxRetries=-1", "BackendOptions.MaxRetries is -1; it must be from 0 to 20." },
        { "MaxRetries=21", "BackendOptions.MaxRetries is 21; it must be from 0 to 20." },
        { "Temperature=-0.5", "BackendOptions.Temperature is -0.5; it must be 0 or more." },
        { "TopP=0", "BackendOptions.TopP is 0; it must be more than 0 and at most 1." },
        { "TopP=1.5", "BackendOptions.TopP is 1.5; it must be more than 0 and at most 1." },
        { "MaxOutputTokens=0", "BackendOptions.MaxOutputTokens is 0; it must be 1 or more." },
        { "Pricing=-1", "BackendOptions.Pricing is negative; it must be 0 or more." },
    };

    [Theory]
    [MemberData(nameof(OutOfRange))]
    public void OptionOutOfRange_IsRefused_NamingItsValueAndWhatIsAllowed(string setting, string expected)
    {
        var options = OptionsOf(BackendNames.OpenAI);
        var (option, value) = (setting.Split('=')[0], setting.Split('=')[1]);
        switch (option)
        {
            case nameof(options.Timeout):
                options.Timeout = TimeSpan.Parse(value);
                break;
            case nameof(options.MaxRetries):
                options.MaxRetries = int.Parse(value);
                break;
            case nameof(options.Temperature):
                options.Temperature = float.Parse(value);
                break;
            case nameof(options.TopP):
                options.TopP = float.Parse(value);
                break;
            case nameof(options.MaxOutputTokens):
                options.MaxOutputTokens = int.Parse(value);
                break;
            default:
                options.Pricing = new BackendPricing { OutputPerMillion = decimal.Parse(value) };
                break;
        }

        AssertRefused(options, $"The backend 'openai': {expected}");
    }

    private static BackendOptions OptionsOf(string provider, string? apiKey = "key", string? baseUrl = "https://example.com") =>
        new() { Provider = provider, ModelName = "model", ApiKey = apiKey, BaseUrl = baseUrl };

    private static BackendSettings Resolve(BackendOptions options, params (string Name, string Value)[] variables) =>
        BackendSettings.Resolve(options, name => variables.FirstOrDefault(variable => variable.Name == name).Value);

    private static void AssertRefused(BackendOptions options, string message) =>
        Assert.Equal(message, Assert.Throws<ArgumentException>(() => Resolve(options)).Message);

    private sealed class NoTokens : AuthenticationTokenProvider
    {
        public override GetTokenOptions? CreateTokenOptions(IReadOnlyDictionary<string, object> properties) => null;

        public override AuthenticationToken GetToken(GetTokenOptions options, CancellationToken cancellationToken) => throw new NotSupportedException();

        public override ValueTask<AuthenticationToken> GetTokenAsync(GetTokenOptions options, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
