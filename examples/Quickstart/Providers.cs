using System.ClientModel;
using DeepRecall;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using OllamaSharp;
using OpenAI;

namespace Quickstart;

/// <summary>The models that the configuration chooses: the root model, and those that its code can call.</summary>
internal sealed class Providers
{
    // A local model may think for minutes before its first token.
    private static readonly TimeSpan NetworkTimeout = TimeSpan.FromMinutes(5);

    private readonly IConfiguration _configuration;
    private readonly HashSet<string> _keys = new(StringComparer.Ordinal);

    /// <exception cref="InvalidOperationException">A setting is missing or not usable; the message names it.</exception>
    public Providers(IConfiguration configuration, Arguments arguments)
    {
        _configuration = configuration;
        var settings = configuration.GetSection("DeepRecall").Get<DeepRecallSettings>() ?? new();
        UseEnvironment(settings);
        MaxIterations = settings.MaxIterations;
        MaxDepth = settings.MaxDepth;
        if (settings.Backend is null)
        {
            Root = ScriptedModel.Root(ScriptFor(arguments), arguments.Question ?? SampleLog.Question);
            SubClients = [new SubClient("scripted", ScriptedModel.Sub())];
            Description = "No provider is configured: a scripted model answers, with real code in the real REPL (token counts are estimates; "
                + "set OPENAI_API_KEY or OLLAMA_HOST for a real model, see --help).";
            return;
        }

        Root = Create(settings, settings.Backend);
        SubClients = [.. settings.OtherBackends.Select(name => new SubClient(name, Create(settings, name)))];
        Description = $"Root model: {Name(Root)}; sub-calls: {(SubClients.Count > 0 ? string.Join(", ", SubClients.Select(sub => Name(sub.Client))) : "the same")}.";
    }

    public IChatClient Root { get; }

    public IReadOnlyList<SubClient> SubClients { get; }

    public int? MaxIterations { get; }

    public int? MaxDepth { get; }

    /// <summary>Gets a line for the user that says which models answer.</summary>
    public string Description { get; }

    public void Configure(DeepRecallOptions options)
    {
        options.MaxIterations = MaxIterations ?? options.MaxIterations;
        options.MaxDepth = MaxDepth ?? options.MaxDepth;
        foreach (var client in SubClients)
        {
            options.SubClients.Add(client);
        }
    }

    /// <summary>Takes the keys out of a text: some servers repeat them in their errors.</summary>
    public string Redact(string text) => _keys.Aggregate(text, (result, key) => result.Replace(key, "***", StringComparison.Ordinal));

    private static string ScriptFor(Arguments arguments) => arguments switch
    {
        { Question: null } => "sample-log.md",
        { Context: null } => "question-only.md",
        _ => "keyword-search.md",
    };

    private static string Name(IChatClient client) =>
        client.GetService<ChatClientMetadata>() is { } metadata ? $"{metadata.DefaultModelId} ({metadata.ProviderName})" : "unknown";

    /// <summary>Without a backend in the DeepRecall section, the providers' usual variables choose one.</summary>
    private void UseEnvironment(DeepRecallSettings settings)
    {
        if (settings.Backend is not null)
        {
            return;
        }

        if (Value("OPENAI_API_KEY") is not null)
        {
            settings.Backend = "openai";
            settings.OtherBackends = ["openai-sub"];
            settings.Backends["openai"] = new() { ModelName = Value("OPENAI_MODEL") ?? "gpt-4o" };
            settings.Backends["openai-sub"] = new() { Provider = "openai", ModelName = Value("OPENAI_SUB_MODEL") ?? "gpt-4o-mini" };
        }
        else if (Value("OLLAMA_HOST") is not null)
        {
            settings.Backend = "ollama";
            settings.OtherBackends = [];
            settings.Backends["ollama"] = new() { ModelName = Value("OLLAMA_MODEL") ?? "llama3.1" };
        }
    }

    private IChatClient Create(DeepRecallSettings settings, string name)
    {
        var path = $"DeepRecall:Backends:{name}";
        if (!settings.Backends.TryGetValue(name, out var backend))
        {
            throw new InvalidOperationException($"{path} is missing, and DeepRecall:Backend or DeepRecall:OtherBackends names it");
        }

        var model = NotBlank(backend.ModelName) ?? throw new InvalidOperationException($"{path}:ModelName is missing");
        switch (NotBlank(backend.Provider) ?? name)
        {
            case "openai":
                var key = NotBlank(backend.ApiKey) ?? Value("OPENAI_API_KEY")
                    ?? throw new InvalidOperationException($"{path}:ApiKey is missing; set it, or OPENAI_API_KEY");
                _keys.Add(key);
                var options = new OpenAIClientOptions { NetworkTimeout = NetworkTimeout };
                if ((NotBlank(backend.BaseUrl) ?? Value("OPENAI_BASE_URL")) is { } url)
                {
                    options.Endpoint = ToUri(url, backend.BaseUrl is null ? "OPENAI_BASE_URL" : $"{path}:BaseUrl");
                }

                return new OpenAI.Chat.ChatClient(model, new ApiKeyCredential(key), options).AsIChatClient();
            case "ollama":
                var host = NotBlank(backend.BaseUrl) ?? Value("OLLAMA_HOST") ?? "localhost";
                return new OllamaApiClient(
                    new HttpClient { BaseAddress = ToOllama(host, backend.BaseUrl is null ? "OLLAMA_HOST" : $"{path}:BaseUrl"), Timeout = NetworkTimeout },
                    model);
            case var other:
                throw new InvalidOperationException($"{path}:Provider is '{other}'; this example knows openai and ollama");
        }
    }

    /// <summary>Ollama's own variable may leave out the scheme and the port.</summary>
    private static Uri ToOllama(string host, string setting)
    {
        var hasScheme = host.Contains("://", StringComparison.Ordinal);
        var uri = ToUri(hasScheme ? host : $"http://{host}", setting);
        return hasScheme || host.Contains(':', StringComparison.Ordinal) ? uri : new UriBuilder(uri) { Port = 11434 }.Uri;
    }

    private static Uri ToUri(string text, string setting) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttp || uri.Scheme == Uri.UriSchemeHttps)
            ? uri
            : throw new InvalidOperationException($"{setting} is not a URL; it must begin with http:// or https://");

    private string? Value(string name) => NotBlank(_configuration[name]);

    private static string? NotBlank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;

    /// <summary>The section <c>DeepRecall</c> of the configuration.</summary>
    private sealed class DeepRecallSettings
    {
        public string? Backend { get; set; }

        public string[] OtherBackends { get; set; } = [];

        public Dictionary<string, BackendSettings> Backends { get; set; } = new(StringComparer.OrdinalIgnoreCase);

        public int? MaxIterations { get; set; }

        public int? MaxDepth { get; set; }
    }

    private sealed class BackendSettings
    {
        public string? Provider { get; set; }

        public string? ModelName { get; set; }

        public string? ApiKey { get; set; }

        public string? BaseUrl { get; set; }
    }
}
