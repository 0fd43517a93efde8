using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall;

/// <summary>Goes on with a registration of DeepRecall; what it has to offer are extension methods.</summary>
public interface IDeepRecallBuilder
{
    /// <summary>Gets the services that it registers in.</summary>
    IServiceCollection Services { get; }

    /// <summary>Gets the name of the registration's options: its key, or an empty string for the one without.</summary>
    string Name { get; }
}
