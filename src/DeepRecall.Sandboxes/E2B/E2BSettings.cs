using DeepRecall.Sandboxes.Cloud;

namespace DeepRecall.Sandboxes.E2B;

/// <summary>The options of an <see cref="E2BSandbox"/>, checked, with what the environment says in the place of what they leave out.</summary>
internal sealed record E2BSettings(
    string ApiKey,
    string Domain,
    Uri ApiUrl,
    Uri? SandboxUrl,
    string Template,
    TimeSpan Timeout,
    bool AllowInternet,
    IReadOnlyDictionary<string, string> Metadata,
    IReadOnlyDictionary<string, string> EnvVars)
{
    private const string Options = nameof(E2BSandboxOptions);
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Longest = TimeSpan.FromHours(24);

    public static E2BSettings Resolve(E2BSandboxOptions options, Func<string, string?> variable)
    {
        var key = CloudOptions.Required(options.ApiKey, variable("E2B_API_KEY"), $"{Options}.{nameof(options.ApiKey)}", "E2B_API_KEY");
        var domain = CloudOptions.Given(options.Domain, $"{Options}.{nameof(options.Domain)}") ?? CloudOptions.Blank(variable("E2B_DOMAIN")) ?? "e2b.app";
        if (Uri.CheckHostName(domain) == UriHostNameType.Unknown)
        {
            throw new ArgumentException($"{Options}.{nameof(options.Domain)} is '{domain}', which is no host name; an address belongs into {nameof(options.ApiUrl)}.", nameof(options));
        }

        if (string.IsNullOrWhiteSpace(options.Template))
        {
            throw new ArgumentException($"{Options}.{nameof(options.Template)} is blank; it names a template, by default 'base'.", nameof(options));
        }

        if (options.Timeout < Shortest || options.Timeout > Longest || options.Timeout.Ticks % TimeSpan.TicksPerSecond != 0)
        {
            throw new ArgumentException($"{Options}.{nameof(options.Timeout)} is {options.Timeout}; whole seconds from {Shortest} to {Longest} are allowed.", nameof(options));
        }

        foreach (var name in (string[])[CloudLabels.OwnerKey, CloudLabels.StartKey])
        {
            if (options.Metadata.ContainsKey(name))
            {
                throw new ArgumentException($"{Options}.{nameof(options.Metadata)} sets '{name}', which is set by the library.", nameof(options));
            }
        }

        return new E2BSettings(
            key,
            domain,
            CloudOptions.Address(options.ApiUrl, $"{Options}.{nameof(options.ApiUrl)}") ?? CloudOptions.Address(variable("E2B_API_URL"), "E2B_API_URL") ?? new Uri($"https://api.{domain}"),
            CloudOptions.Address(options.SandboxUrl, $"{Options}.{nameof(options.SandboxUrl)}") ?? CloudOptions.Address(variable("E2B_SANDBOX_URL"), "E2B_SANDBOX_URL"),
            options.Template,
            options.Timeout,
            options.AllowInternet,
            new Dictionary<string, string>(options.Metadata, StringComparer.Ordinal),
            new Dictionary<string, string>(options.EnvVars, StringComparer.Ordinal));
    }

    /// <summary>Without the key.</summary>
    public override string ToString() => $"{nameof(E2BSettings)} {{ {nameof(ApiUrl)} = {ApiUrl}, {nameof(Template)} = {Template} }}";
}
