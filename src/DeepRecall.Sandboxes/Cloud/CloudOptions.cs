namespace DeepRecall.Sandboxes.Cloud;

/// <summary>Checks the options that cloud environments have in common.</summary>
internal static class CloudOptions
{
    /// <summary>A value that must come from an option or an environment variable.</summary>
    public static string Required(string? option, string? variable, string optionName, string variableName) =>
        Given(option, optionName) ?? Blank(variable)
        ?? throw new ArgumentException($"{optionName} is not set, and neither is the environment variable {variableName}; one of them is needed.", optionName);

    /// <summary>An option, which may be left out but not be blank.</summary>
    public static string? Given(string? option, string optionName) =>
        option is not null && string.IsNullOrWhiteSpace(option)
            ? throw new ArgumentException($"{optionName} is blank; leave it null for the default.", optionName)
            : option;

    /// <summary>The value of an environment variable; a blank one is none.</summary>
    public static string? Blank(string? variable) => string.IsNullOrWhiteSpace(variable) ? null : variable.Trim();

    /// <summary>An address of a service; <see langword="null"/> when it is not set.</summary>
    public static Uri? Address(string? value, string name)
    {
        if (value is null)
        {
            return null;
        }

        return Uri.TryCreate(value.Trim().TrimEnd('/'), UriKind.Absolute, out var address) && (address.Scheme == Uri.UriSchemeHttps || address.Scheme == Uri.UriSchemeHttp)
            ? address
            : throw new ArgumentException($"{name} is '{value}'; an absolute http or https address is needed.", name);
    }
}
