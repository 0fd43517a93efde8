using DeepRecall;
using DeepRecall.Backends;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Quickstart;

/// <summary>The models that answer: those of the configuration, else those of a provider whose usual variable is set, else a script.</summary>
internal static class Models
{
    private const string Scripted = "scripted";
    private const string ScriptedSub = "scripted-sub";

    // Without a backend in the DeepRecall section, the first of these whose variable is set answers.
    private static readonly (string Variable, string Provider, string Model, string? SubModel)[] Usual =
    [
        ("OPENAI_API_KEY", BackendNames.OpenAI, "gpt-4o", "gpt-4o-mini"),
        ("ANTHROPIC_API_KEY", BackendNames.Anthropic, "claude-sonnet-4-20250514", null),
        ("GEMINI_API_KEY", BackendNames.Gemini, "gemini-2.5-flash", null),
        ("OLLAMA_HOST", BackendNames.Ollama, "llama3.1", null),
    ];

    public static void Register(IServiceCollection services, IConfiguration configuration, Arguments arguments)
    {
        var builder = services.AddDeepRecall(configuration.GetSection("DeepRecall"));
        if (configuration["DeepRecall:Backend"] is not null)
        {
            return;
        }

        if (Array.Find(Usual, usual => Value(configuration, usual.Variable) is not null) is { Provider: not null } chosen)
        {
            services.AddDeepRecall(options => UseProvider(options, configuration, chosen.Provider, chosen.Model, chosen.SubModel));
            return;
        }

        services.AddDeepRecall(options =>
        {
            options.Backend = Scripted;
            options.OtherBackends.Clear();
            options.OtherBackends.Add(ScriptedSub);
        });
        builder.AddBackend(Scripted, _ => ScriptedModel.Root(ScriptFor(arguments), arguments.Question ?? SampleLog.Question));
        builder.AddBackend(ScriptedSub, _ => ScriptedModel.Sub());
    }

    /// <summary>A line for the user that says which models answer.</summary>
    public static string Describe(IServiceProvider services)
    {
        var options = services.GetRequiredService<IOptionsMonitor<DeepRecallServiceOptions>>().CurrentValue;
        return options.Backend == Scripted
            ? "No provider is configured: a scripted model answers, with real code in the real REPL (token counts are estimates; "
                + "set OPENAI_API_KEY or OLLAMA_HOST for a real model, see --help)."
            : $"Root model: {Name(options.Backend!)}; sub-calls: {(options.OtherBackends.Count > 0 ? string.Join(", ", options.OtherBackends.Select(Name)) : "the same")}.";

        string Name(string backend) =>
            services.GetRequiredKeyedService<IChatClient>(backend).GetService<ChatClientMetadata>() is { } metadata ? $"{metadata.DefaultModelId} ({metadata.ProviderName})" : backend;
    }

    private static void UseProvider(DeepRecallServiceOptions options, IConfiguration configuration, string provider, string model, string? subModel)
    {
        var prefix = provider.ToUpperInvariant();
        options.Backend = provider;
        options.OtherBackends.Clear();
        options.Backends[provider] = Entry(model, $"{prefix}_MODEL");
        if ((Value(configuration, $"{prefix}_SUB_MODEL") ?? subModel) is { } sub)
        {
            options.OtherBackends.Add($"{provider}-sub");
            options.Backends[$"{provider}-sub"] = Entry(sub, $"{prefix}_SUB_MODEL");
        }

        BackendOptions Entry(string usual, string variable) =>
            new() { Provider = provider, ModelName = Value(configuration, variable) ?? usual, BaseUrl = Value(configuration, $"{prefix}_BASE_URL") };
    }

    private static string ScriptFor(Arguments arguments) => arguments switch
    {
        { Question: null } => "sample-log.md",
        { Context: null } => "question-only.md",
        _ => "keyword-search.md",
    };

    private static string? Value(IConfiguration configuration, string name) => string.IsNullOrWhiteSpace(configuration[name]) ? null : configuration[name];
}
