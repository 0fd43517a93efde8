using DeepRecall.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall.Tests;

/// <summary>Service collections and configurations in few words.</summary>
internal static class Services
{
    /// <summary>The section <c>DeepRecall</c> of a JSON text's configuration, with values above it, given as path and value.</summary>
    public static IConfigurationRoot Configuration(string json, params (string Key, string? Value)[] more) => new ConfigurationBuilder()
        .AddJsonStream(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json)))
        .AddInMemoryCollection(more.ToDictionary(pair => pair.Key, pair => pair.Value))
        .Build();

    public static IConfigurationSection Section(this IConfiguration configuration) => configuration.GetSection("DeepRecall");

    /// <summary>A model whose only reply answers with a text.</summary>
    public static ScriptedChatClient Answering(string text) => new(Script.Answer($"'{text}'"));

    public static IServiceCollection With(this IServiceCollection services, Action<IServiceCollection> register)
    {
        register(services);
        return services;
    }

    /// <summary>Registers scripted models by their names.</summary>
    public static IDeepRecallBuilder WithModel(this IDeepRecallBuilder builder, string name, ScriptedChatClient model) => builder.AddBackend(name, _ => model);

    public static CancellationToken Token => TestContext.Current.CancellationToken;
}
