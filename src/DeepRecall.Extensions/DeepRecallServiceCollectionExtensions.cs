using DeepRecall;
using DeepRecall.Backends;
using DeepRecall.Configuration;
using DeepRecall.Hosting;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers Recursive Language Models (RLM).</summary>
/// <remarks>
/// <para>
/// After <c>AddDeepRecall</c> there is the RLM as an <see cref="IChatClient"/> with the key <c>deeprecall</c>, and as the one without a key when the
/// application registers none; an <see cref="IChatClient"/> for each backend, by the name of its entry and by the well-known names
/// (<see cref="BackendNames"/>); and an <see cref="ISandbox"/> for each environment, likewise (<see cref="EnvironmentNames"/>). All are singletons
/// and made when they are first used, so that what is not used needs no key and no engine.
/// </para>
/// <para>
/// What the application registers itself under one of these keys wins, before or after. Calls add up, in their order, and the same section is bound once.
/// Options are validated when the host starts, and when they are first used where there is no host.
/// </para>
/// </remarks>
public static class DeepRecallServiceCollectionExtensions
{
    /// <summary>Registers an RLM whose options come from elsewhere (<c>Configure&lt;DeepRecallServiceOptions&gt;</c>), or are the defaults.</summary>
    /// <param name="services">The services.</param>
    /// <returns>What goes on with the registration.</returns>
    public static IDeepRecallBuilder AddDeepRecall(this IServiceCollection services) => Add(services, string.Empty);

    /// <summary>Registers an RLM.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">
    /// Sets the options. It is called when they are needed, and once here, with options that are thrown away, to learn the names of the entries.
    /// </param>
    /// <returns>What goes on with the registration.</returns>
    public static IDeepRecallBuilder AddDeepRecall(this IServiceCollection services, Action<DeepRecallServiceOptions> configure) =>
        Add(services, string.Empty).Configure(configure);

    /// <summary>Registers an RLM by a section of the configuration.</summary>
    /// <param name="services">The services.</param>
    /// <param name="section">The section, usually <c>DeepRecall</c>. When it changes, the next request works by the change; new entries have services only after a restart.</param>
    /// <returns>What goes on with the registration.</returns>
    public static IDeepRecallBuilder AddDeepRecall(this IServiceCollection services, IConfigurationSection section) =>
        Add(services, string.Empty).Bind(section);

    /// <summary>Registers a further RLM: its client has the key, its entries the keys <c>{key}:{entry}</c>. Names that it has no entry for are those without the prefix.</summary>
    /// <param name="services">The services.</param>
    /// <param name="serviceKey">The key, and the name of the options.</param>
    /// <returns>What goes on with the registration.</returns>
    /// <exception cref="ArgumentException"><paramref name="serviceKey"/> is blank.</exception>
    public static IDeepRecallBuilder AddKeyedDeepRecall(this IServiceCollection services, string serviceKey)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(serviceKey);
        return Add(services, serviceKey);
    }

    /// <summary>Registers a further RLM: its client has the key, its entries the keys <c>{key}:{entry}</c>. Names that it has no entry for are those without the prefix.</summary>
    /// <param name="services">The services.</param>
    /// <param name="serviceKey">The key, and the name of the options.</param>
    /// <param name="configure">Sets the options; called as by <see cref="AddDeepRecall(IServiceCollection, Action{DeepRecallServiceOptions})"/>.</param>
    /// <returns>What goes on with the registration.</returns>
    /// <exception cref="ArgumentException"><paramref name="serviceKey"/> is blank.</exception>
    public static IDeepRecallBuilder AddKeyedDeepRecall(this IServiceCollection services, string serviceKey, Action<DeepRecallServiceOptions> configure) =>
        services.AddKeyedDeepRecall(serviceKey).Configure(configure);

    /// <summary>Registers a further RLM: its client has the key, its entries the keys <c>{key}:{entry}</c>. Names that it has no entry for are those without the prefix.</summary>
    /// <param name="services">The services.</param>
    /// <param name="serviceKey">The key, and the name of the options.</param>
    /// <param name="section">The section of the configuration.</param>
    /// <returns>What goes on with the registration.</returns>
    /// <exception cref="ArgumentException"><paramref name="serviceKey"/> is blank.</exception>
    public static IDeepRecallBuilder AddKeyedDeepRecall(this IServiceCollection services, string serviceKey, IConfigurationSection section) =>
        ((DeepRecallBuilder)services.AddKeyedDeepRecall(serviceKey)).Bind(section);

    /// <summary>Registers the services of an entry of <c>Backends</c>, unless the application has its own.</summary>
    internal static void TryAddBackend(this DeepRecallBuilder builder, string entry)
    {
        var name = builder.Name;
        builder.Services.TryAddKeyedSingleton<IChatClient>(
            builder.Instance.KeyOf(entry),
            (provider, _) => provider.GetRequiredKeyedService<InstanceServices>(name).GetBackend(entry));
    }

    /// <summary>Registers the services of an entry of <c>Environments</c>, unless the application has its own.</summary>
    internal static void TryAddEnvironment(this DeepRecallBuilder builder, string entry)
    {
        var name = builder.Name;
        builder.Services.TryAddKeyedSingleton<ISandbox>(
            builder.Instance.KeyOf(entry),
            (provider, _) => provider.GetRequiredKeyedService<InstanceServices>(name).GetEnvironment(entry));
    }

    private static DeepRecallBuilder Add(IServiceCollection services, string name)
    {
        ArgumentNullException.ThrowIfNull(services);
        var registry = DeepRecallRegistry.Of(services, out var isFirst);
        if (isFirst)
        {
            services.AddLogging();
            services.AddHttpClient();
            services.TryAddSingleton(TimeProvider.System);
            services.AddSingleton<RunningRequests>();
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, DeepRecallHostedService>());
            services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<DeepRecallServiceOptions>, DeepRecallServiceOptionsValidator>());
        }

        var instance = registry.GetOrAdd(name, out var isNew);
        var builder = new DeepRecallBuilder(services, instance);
        if (isNew)
        {
            services.AddOptions<DeepRecallServiceOptions>(name).ValidateOnStart();
            services.AddKeyedSingleton(name, (provider, _) => new InstanceServices(instance, provider));
            services.TryAddKeyedSingleton<IChatClient>(
                instance.ClientKey,
                (provider, _) => new InstanceChatClient(provider.GetRequiredKeyedService<InstanceServices>(name), provider));
            if (name.Length == 0)
            {
                registry.TryAddDefaultClient();
                foreach (var backend in BackendNames.All)
                {
                    builder.TryAddBackend(backend);
                }

                foreach (var environment in EnvironmentNames.All)
                {
                    builder.TryAddEnvironment(environment);
                }
            }
        }

        return builder;
    }

    private static DeepRecallBuilder Configure(this IDeepRecallBuilder builder, Action<DeepRecallServiceOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        var named = new DeepRecallServiceOptions();
        configure(named);
        var own = (DeepRecallBuilder)builder;
        foreach (var backend in named.Backends.Keys)
        {
            own.TryAddBackend(backend);
        }

        foreach (var environment in named.Environments.Keys)
        {
            own.TryAddEnvironment(environment);
        }

        builder.Services.Configure(builder.Name, configure);
        return own;
    }

    private static DeepRecallBuilder Bind(this DeepRecallBuilder builder, IConfigurationSection section)
    {
        ArgumentNullException.ThrowIfNull(section);
        var name = builder.Name;
        foreach (var backend in section.GetSection(nameof(DeepRecallServiceOptions.Backends)).GetChildren())
        {
            builder.TryAddBackend(backend.Key);
        }

        foreach (var environment in section.GetSection(nameof(DeepRecallServiceOptions.Environments)).GetChildren())
        {
            builder.TryAddEnvironment(environment.Key);
        }

        if (builder.Instance.TryBind(section.Path))
        {
            builder.Services.AddSingleton<IConfigureOptions<DeepRecallServiceOptions>>(new ConfigureNamedOptions<DeepRecallServiceOptions>(name, options => SectionBinder.Bind(section, options, name)));
            builder.Services.AddSingleton<IOptionsChangeTokenSource<DeepRecallServiceOptions>>(new ConfigurationChangeTokenSource<DeepRecallServiceOptions>(name, section));
        }

        return builder;
    }
}
