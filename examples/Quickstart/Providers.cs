using DeepRecall;
using DeepRecall.Backends;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;

namespace Quickstart;

/// <summary>The models that the configuration chooses: the root model, and those that its code can call.</summary>
internal sealed class Providers
{
    // Without a backend in the DeepRecall section, the first of these whose variable is set answers.
    private static readonly (string Variable, string Provider, string Model, string? SubModel)[] Usual =
    [
        ("OPENAI_API_KEY", BackendNames.OpenAI, "gpt-4o", "gpt-4o-mini"),
        ("ANTHROPIC_API_KEY", BackendNames.Anthropic, "claude-sonnet-4-20250514", null),
        ("GEMINI_API_KEY", BackendNames.Gemini, "gemini-2.5-flash", null),
        ("OLLAMA_HOST", BackendNames.Ollama, "llama3.1", null),
    ];

    private readonly IConfiguration _configuration;

    /// <exception cref="InvalidOperationException">A backend is named that is not configured.</exception>
    /// <exception cref="ArgumentException">A setting is missing or not usable; the message names it.</exception>
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

    private static string ScriptFor(Arguments arguments) => arguments switch
    {
        { Question: null } => "sample-log.md",
        { Context: null } => "question-only.md",
        _ => "keyword-search.md",
    };

    private static string Name(IChatClient client) =>
        client.GetService<ChatClientMetadata>() is { } metadata ? $"{metadata.DefaultModelId} ({metadata.ProviderName})" : "unknown";

    private static IChatClient Create(DeepRecallSettings settings, string name)
    {
        if (!settings.Backends.TryGetValue(name, out var backend))
        {
            throw new InvalidOperationException($"DeepRecall:Backends:{name} is missing, and DeepRecall:Backend or DeepRecall:OtherBackends names it");
        }

        backend.Name = name;
        return Backend.CreateChatClient(backend);
    }

    private void UseEnvironment(DeepRecallSettings settings)
    {
        if (settings.Backend is not null || Array.Find(Usual, usual => Value(usual.Variable) is not null) is not { Provider: { } provider } chosen)
        {
            return;
        }

        var prefix = provider.ToUpperInvariant();
        settings.Backend = provider;
        settings.OtherBackends = [];
        settings.Backends[provider] = Entry(chosen.Model, $"{prefix}_MODEL");
        if ((Value($"{prefix}_SUB_MODEL") ?? chosen.SubModel) is { } subModel)
        {
            settings.OtherBackends = [$"{provider}-sub"];
            settings.Backends[$"{provider}-sub"] = Entry(subModel, $"{prefix}_SUB_MODEL");
        }

        BackendOptions Entry(string model, string variable) =>
            new() { Provider = provider, ModelName = Value(variable) ?? model, BaseUrl = Value($"{prefix}_BASE_URL") };
    }

    private string? Value(string name) => string.IsNullOrWhiteSpace(_configuration[name]) ? null : _configuration[name];

    /// <summary>The section <c>DeepRecall</c> of the configuration.</summary>
    private sealed class DeepRecallSettings
    {
        public string? Backend { get; set; }

        public string[] OtherBackends { get; set; } = [];

        public Dictionary<string, BackendOptions> Backends { get; set; } = new(StringComparer.OrdinalIgnoreCase);

        public int? MaxIterations { get; set; }

        public int? MaxDepth { get; set; }
    }
}
