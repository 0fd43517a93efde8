using DeepRecall.Sandboxes.Cloud;

namespace DeepRecall.Sandboxes.Prime;

/// <summary>The options of a <see cref="PrimeSandbox"/>, checked, with what the environment says in the place of what they leave out.</summary>
internal sealed record PrimeSettings(
    string ApiKey,
    string? TeamId,
    Uri BaseUrl,
    string Image,
    double CpuCores,
    double MemoryGB,
    double DiskGB,
    TimeSpan Timeout,
    TimeSpan CreationTimeout,
    bool AllowInternet,
    bool Container,
    IReadOnlyDictionary<string, string> EnvVars)
{
    private const string Options = nameof(PrimeSandboxOptions);
    private const string ApiPath = "/api/v1";
    private static readonly TimeSpan Longest = TimeSpan.FromHours(24);

    public static PrimeSettings Resolve(PrimeSandboxOptions options, Func<string, string?> variable)
    {
        var key = CloudOptions.Required(options.ApiKey, variable("PRIME_API_KEY"), $"{Options}.{nameof(options.ApiKey)}", "PRIME_API_KEY");
        if (string.IsNullOrWhiteSpace(options.Image))
        {
            throw new ArgumentException($"{Options}.{nameof(options.Image)} is blank; it names an image, by default 'python:3.12-slim'.", nameof(options));
        }

        foreach (var (name, value) in (ReadOnlySpan<(string, double)>)[(nameof(options.CpuCores), options.CpuCores), (nameof(options.MemoryGB), options.MemoryGB), (nameof(options.DiskGB), options.DiskGB)])
        {
            if (value <= 0 || !double.IsFinite(value))
            {
                throw new ArgumentException($"{Options}.{name} is {value}; more than 0 is needed.", nameof(options));
            }
        }

        if (options.Timeout < TimeSpan.FromMinutes(1) || options.Timeout > Longest || options.Timeout.Ticks % TimeSpan.TicksPerMinute != 0)
        {
            throw new ArgumentException($"{Options}.{nameof(options.Timeout)} is {options.Timeout}; whole minutes from 1 minute to {Longest} are allowed.", nameof(options));
        }

        if (options.CreationTimeout <= TimeSpan.Zero || options.CreationTimeout > Longest)
        {
            throw new ArgumentException($"{Options}.{nameof(options.CreationTimeout)} is {options.CreationTimeout}; more than 0, up to {Longest}, is allowed.", nameof(options));
        }

        var address = CloudOptions.Address(options.BaseUrl, $"{Options}.{nameof(options.BaseUrl)}")
            ?? CloudOptions.Address(CloudOptions.Blank(variable("PRIME_API_BASE_URL")), "PRIME_API_BASE_URL")
            ?? CloudOptions.Address(CloudOptions.Blank(variable("PRIME_BASE_URL")), "PRIME_BASE_URL")
            ?? new Uri("https://api.primeintellect.ai");
        var text = address.AbsoluteUri.TrimEnd('/');
        return new PrimeSettings(
            key,
            CloudOptions.Given(options.TeamId, $"{Options}.{nameof(options.TeamId)}") ?? CloudOptions.Blank(variable("PRIME_TEAM_ID")),
            new Uri(text.EndsWith(ApiPath, StringComparison.Ordinal) ? text : text + ApiPath),
            options.Image,
            options.CpuCores,
            options.MemoryGB,
            options.DiskGB,
            options.Timeout,
            options.CreationTimeout,
            options.AllowInternet,
            options.Container,
            new Dictionary<string, string>(options.EnvVars, StringComparer.Ordinal));
    }

    /// <summary>Without the key.</summary>
    public override string ToString() => $"{nameof(PrimeSettings)} {{ {nameof(BaseUrl)} = {BaseUrl}, {nameof(Image)} = {Image} }}";
}
