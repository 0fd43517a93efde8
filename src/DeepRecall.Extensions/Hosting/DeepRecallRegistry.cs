using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall.Hosting;

/// <summary>The registrations in a service collection.</summary>
internal sealed class DeepRecallRegistry(IServiceCollection services)
{
    private readonly List<DeepRecallInstance> _instances = [];
    private ServiceDescriptor? _ownDefault;

    public IReadOnlyList<DeepRecallInstance> Instances => _instances;

    /// <summary>The registry of a collection, which is made with the first registration.</summary>
    public static DeepRecallRegistry Of(IServiceCollection services, out bool isNew)
    {
        if (services.FirstOrDefault(service => service.ServiceType == typeof(DeepRecallRegistry))?.ImplementationInstance is DeepRecallRegistry registry)
        {
            isNew = false;
            return registry;
        }

        isNew = true;
        registry = new DeepRecallRegistry(services);
        services.AddSingleton(registry);
        return registry;
    }

    public DeepRecallInstance GetOrAdd(string name, out bool isNew)
    {
        var instance = _instances.Find(instance => instance.Name == name);
        isNew = instance is null;
        if (instance is null)
        {
            _instances.Add(instance = new DeepRecallInstance(name));
        }

        return instance;
    }

    public bool TryGet(string? name, [NotNullWhen(true)] out DeepRecallInstance? instance) =>
        (instance = _instances.Find(instance => instance.Name == name)) is not null;

    /// <summary>Registers the client without a key, unless the application has one.</summary>
    public void TryAddDefaultClient()
    {
        if (!services.Any(IsDefaultClient))
        {
            _ownDefault = ServiceDescriptor.Singleton(provider => provider.GetRequiredKeyedService<IChatClient>(DeepRecallInstance.DefaultClientKey));
            services.Add(_ownDefault);
        }
    }

    /// <summary>Whether the application has registered a client without a key itself, before or after.</summary>
    public bool HasApplicationClient() => services.LastOrDefault(IsDefaultClient) is { } last && last != _ownDefault;

    private static bool IsDefaultClient(ServiceDescriptor service) => service.ServiceType == typeof(IChatClient) && !service.IsKeyedService;
}
