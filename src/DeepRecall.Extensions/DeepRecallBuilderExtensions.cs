using DeepRecall.Backends;
using DeepRecall.Hosting;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace DeepRecall;

/// <summary>What can be added to a registration of DeepRecall.</summary>
public static class DeepRecallBuilderExtensions
{
    /// <summary>Sets options that need services, such as a search source or sub-clients of the application's own.</summary>
    /// <param name="builder">The registration.</param>
    /// <param name="configure">Sets the options; called when they are needed, after what was registered before.</param>
    /// <returns>The registration.</returns>
    public static IDeepRecallBuilder Configure(this IDeepRecallBuilder builder, Action<IServiceProvider, DeepRecallServiceOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        builder.Services.AddSingleton<IConfigureOptions<DeepRecallServiceOptions>>(
            services => new ConfigureNamedOptions<DeepRecallServiceOptions>(builder.Name, options => configure(services, options)));
        return builder;
    }

    /// <summary>Adds an entry to <see cref="DeepRecallServiceOptions.Backends"/>.</summary>
    /// <param name="builder">The registration.</param>
    /// <param name="name">The entry's name, by which <see cref="DeepRecallServiceOptions.Backend"/> and the service's key call it.</param>
    /// <param name="configure">Sets the backend's options.</param>
    /// <returns>The registration.</returns>
    /// <exception cref="ArgumentException"><paramref name="name"/> is blank.</exception>
    public static IDeepRecallBuilder AddBackend(this IDeepRecallBuilder builder, string name, Action<BackendOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        Own(builder).TryAddBackend(name);
        builder.Services.Configure<DeepRecallServiceOptions>(builder.Name, options => configure(DeepRecallServiceOptions.Entry(options.Backends, name)));
        return builder;
    }

    /// <summary>Makes a client of the application's own the backend of that name, in place of one that is there.</summary>
    /// <param name="builder">The registration.</param>
    /// <param name="name">The name, by which <see cref="DeepRecallServiceOptions.Backend"/> and the service's key call it.</param>
    /// <param name="create">Makes the client; it must allow concurrent calls.</param>
    /// <returns>The registration.</returns>
    /// <exception cref="ArgumentException"><paramref name="name"/> is blank.</exception>
    public static IDeepRecallBuilder AddBackend(this IDeepRecallBuilder builder, string name, Func<IServiceProvider, IChatClient> create)
    {
        Replace(builder, name, create);
        return builder;
    }

    /// <summary>Adds an entry to <see cref="DeepRecallServiceOptions.Environments"/>.</summary>
    /// <param name="builder">The registration.</param>
    /// <param name="name">The entry's name, by which <see cref="DeepRecallServiceOptions.Environment"/> and the service's key call it.</param>
    /// <param name="configure">Sets the environment's options.</param>
    /// <returns>The registration.</returns>
    /// <exception cref="ArgumentException"><paramref name="name"/> is blank.</exception>
    public static IDeepRecallBuilder AddEnvironment(this IDeepRecallBuilder builder, string name, Action<EnvironmentOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        Own(builder).TryAddEnvironment(name);
        builder.Services.Configure<DeepRecallServiceOptions>(builder.Name, options => configure(DeepRecallServiceOptions.Entry(options.Environments, name)));
        return builder;
    }

    /// <summary>Makes a sandbox of the application's own the environment of that name, in place of one that is there.</summary>
    /// <param name="builder">The registration.</param>
    /// <param name="name">The name, by which <see cref="DeepRecallServiceOptions.Environment"/> and the service's key call it.</param>
    /// <param name="create">Makes the sandbox; a <see cref="SandboxPool"/> keeps processes of it ready.</param>
    /// <returns>The registration.</returns>
    /// <exception cref="ArgumentException"><paramref name="name"/> is blank.</exception>
    public static IDeepRecallBuilder AddSandbox(this IDeepRecallBuilder builder, string name, Func<IServiceProvider, ISandbox> create)
    {
        Replace(builder, name, create);
        return builder;
    }

    /// <summary>
    /// Puts steps around the root model's client, below the RLM: telemetry, caching, logging, rate limits of each single call. The first step of
    /// the first call is the outermost.
    /// </summary>
    /// <param name="builder">The registration.</param>
    /// <param name="configure">Adds the steps, for example <c>pipeline =&gt; pipeline.UseOpenTelemetry()</c>.</param>
    /// <returns>The registration.</returns>
    /// <remarks>What is to go around the whole RLM goes around its client: <c>services.AddChatClient(s =&gt; s.GetRequiredKeyedService&lt;IChatClient&gt;("deeprecall")).UseLogging()</c>.</remarks>
    public static IDeepRecallBuilder ConfigureMainClient(this IDeepRecallBuilder builder, Action<ChatClientBuilder> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return builder.ConfigureMainClient((_, pipeline) => configure(pipeline));
    }

    /// <inheritdoc cref="ConfigureMainClient(IDeepRecallBuilder, Action{ChatClientBuilder})"/>
    public static IDeepRecallBuilder ConfigureMainClient(this IDeepRecallBuilder builder, Action<IServiceProvider, ChatClientBuilder> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        builder.Services.Configure<PipelineSteps>(builder.Name, steps => steps.Main.Add(configure));
        return builder;
    }

    /// <summary>Puts steps around the client of each sub-model of <see cref="DeepRecallServiceOptions.OtherBackends"/>.</summary>
    /// <param name="builder">The registration.</param>
    /// <param name="configure">Adds the steps, for example <c>pipeline =&gt; pipeline.UseDistributedCache()</c>.</param>
    /// <returns>The registration.</returns>
    public static IDeepRecallBuilder ConfigureSubClients(this IDeepRecallBuilder builder, Action<ChatClientBuilder> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return builder.ConfigureSubClients((_, pipeline) => configure(pipeline));
    }

    /// <inheritdoc cref="ConfigureSubClients(IDeepRecallBuilder, Action{ChatClientBuilder})"/>
    public static IDeepRecallBuilder ConfigureSubClients(this IDeepRecallBuilder builder, Action<IServiceProvider, ChatClientBuilder> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        builder.Services.Configure<PipelineSteps>(builder.Name, steps => steps.Sub.Add(configure));
        return builder;
    }

    private static void Replace<T>(IDeepRecallBuilder builder, string name, Func<IServiceProvider, T> create)
        where T : class
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(create);
        var key = Own(builder).Instance.KeyOf(name);
        builder.Services.RemoveAllKeyed<T>(key).AddKeyedSingleton(key, (services, _) => create(services));
    }

    private static DeepRecallBuilder Own(IDeepRecallBuilder builder) =>
        builder as DeepRecallBuilder ?? throw new ArgumentException("The builder is not one that AddDeepRecall has returned.", nameof(builder));
}
