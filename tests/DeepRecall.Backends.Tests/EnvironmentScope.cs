namespace DeepRecall.Backends.Tests;

/// <summary>Sets environment variables of the process, all others that backends read unset, and puts everything back.</summary>
/// <remarks>Only for tests of the collection <see cref="EnvironmentTests"/>, which run alone.</remarks>
internal sealed class EnvironmentScope : IDisposable
{
    private static readonly string[] Known =
    [
        .. ProviderInfo.All.Values.SelectMany(provider => provider.KeyVariables),
        .. ProviderInfo.All.Values.Select(provider => provider.BaseUrlVariable).OfType<string>(),
        "AZURE_OPENAI_API_VERSION",
    ];

    private readonly Dictionary<string, string?> _before;

    public EnvironmentScope(params (string Name, string Value)[] variables)
    {
        _before = Known.Union(variables.Select(variable => variable.Name)).ToDictionary(name => name, Environment.GetEnvironmentVariable);
        foreach (var name in _before.Keys)
        {
            Environment.SetEnvironmentVariable(name, null);
        }

        foreach (var (name, value) in variables)
        {
            Environment.SetEnvironmentVariable(name, value);
        }
    }

    public void Dispose()
    {
        foreach (var (name, value) in _before)
        {
            Environment.SetEnvironmentVariable(name, value);
        }
    }
}

/// <summary>The collection of the tests that change the process's environment; nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class EnvironmentTests
{
    public const string Name = "environment";
}
