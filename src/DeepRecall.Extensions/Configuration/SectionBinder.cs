using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace DeepRecall.Configuration;

/// <summary>Puts a section of the configuration into options.</summary>
internal static class SectionBinder
{
    /// <exception cref="OptionsValidationException">A key is unknown, or a value is not of its type; the message has the path.</exception>
    public static void Bind(IConfigurationSection section, DeepRecallServiceOptions options, string optionsName)
    {
        var problems = SectionSchema.FindProblems(section);
        if (problems.Count > 0)
        {
            throw new OptionsValidationException(optionsName, typeof(DeepRecallServiceOptions), problems);
        }

        try
        {
            section.Bind(options);
            foreach (var entry in section.GetSection(nameof(options.Environments)).GetChildren())
            {
                BindEnvironment(entry, DeepRecallServiceOptions.Entry(options.Environments, entry.Key));
            }
        }
        catch (InvalidOperationException error)
        {
            throw new OptionsValidationException(optionsName, typeof(DeepRecallServiceOptions), [error.Message]);
        }
    }

    // The options stand in the entry itself, beside its provider and its pool.
    private static void BindEnvironment(IConfigurationSection entry, EnvironmentOptions options)
    {
        switch (ProviderOf(entry.Key, options))
        {
            case EnvironmentNames.Local:
                entry.Bind(options.Local);
                break;
            case EnvironmentNames.Docker:
                entry.Bind(options.Docker);
                break;
            case EnvironmentNames.Modal:
                entry.Bind(options.Modal);
                break;
            case EnvironmentNames.E2B:
                entry.Bind(options.E2B);
                break;
            case EnvironmentNames.Daytona:
                entry.Bind(options.Daytona);
                break;
            case EnvironmentNames.Prime:
                entry.Bind(options.Prime);
                break;
        }
    }

    /// <summary>The environment of an entry, in the spelling of <see cref="EnvironmentNames"/> where it is one.</summary>
    public static string ProviderOf(string key, EnvironmentOptions options)
    {
        var name = string.IsNullOrWhiteSpace(options.Provider) ? key : options.Provider.Trim();
        return EnvironmentNames.All.FirstOrDefault(known => string.Equals(known, name, StringComparison.OrdinalIgnoreCase)) ?? name;
    }
}
