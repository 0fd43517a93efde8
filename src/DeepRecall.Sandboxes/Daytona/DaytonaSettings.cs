using DeepRecall.Sandboxes.Cloud;

namespace DeepRecall.Sandboxes.Daytona;

/// <summary>Options as they are used: checked, and completed from the environment.</summary>
internal sealed class DaytonaSettings
{
    private const string ApiUrlVariable = "DAYTONA_API_URL";

    /// <summary>The key or the token.</summary>
    public required string Secret { get; init; }

    /// <summary>The organization, which goes with a token and never with a key.</summary>
    public required string? OrganizationId { get; init; }

    /// <summary>The API's address, with a slash at its end.</summary>
    public required Uri ApiUrl { get; init; }

    public required string? Target { get; init; }

    public required string? Snapshot { get; init; }

    public required string? Image { get; init; }

    public required int? Cpu { get; init; }

    public required int? MemoryGb { get; init; }

    public required int? DiskGb { get; init; }

    public required bool NetworkBlockAll { get; init; }

    public required int AutoStopMinutes { get; init; }

    public required bool Ephemeral { get; init; }

    public required IReadOnlyDictionary<string, string> EnvVars { get; init; }

    /// <exception cref="ArgumentException">An option is missing or out of range; the message names the option, the value and what is allowed.</exception>
    public static DaytonaSettings Resolve(DaytonaSandboxOptions options, Func<string, string?> environment)
    {
        var token = CloudOptions.Blank(options.JwtToken);
        var key = CloudOptions.Blank(options.ApiKey) ?? (token is null ? CloudOptions.Blank(environment("DAYTONA_API_KEY")) : null);
        if (CloudOptions.Blank(options.ApiKey) is not null && token is not null)
        {
            throw Problem(nameof(DaytonaSandboxOptions.JwtToken), $"is set, and so is {nameof(DaytonaSandboxOptions.ApiKey)}; set one of them");
        }

        token = key is null ? token ?? CloudOptions.Blank(environment("DAYTONA_JWT_TOKEN")) : null;
        var organization = token is null ? null : CloudOptions.Blank(options.OrganizationId) ?? CloudOptions.Blank(environment("DAYTONA_ORGANIZATION_ID"));
        if (key is null && token is null)
        {
            throw Problem(nameof(DaytonaSandboxOptions.ApiKey), "is not set, and neither is the environment variable DAYTONA_API_KEY; one of them is needed");
        }

        if (token is not null && organization is null)
        {
            throw Problem(nameof(DaytonaSandboxOptions.OrganizationId), $"is not set; a {nameof(DaytonaSandboxOptions.JwtToken)} needs it, or the environment variable DAYTONA_ORGANIZATION_ID");
        }

        CheckMachine(options);
        return new DaytonaSettings
        {
            Secret = key ?? token!,
            OrganizationId = organization,
            ApiUrl = new Uri($"{CloudOptions.Address(options.ApiUrl, NameOf(nameof(options.ApiUrl))) ?? CloudOptions.Address(CloudOptions.Blank(environment(ApiUrlVariable)), ApiUrlVariable) ?? new Uri("https://app.daytona.io/api")}/"),
            Target = CloudOptions.Blank(options.Target) ?? CloudOptions.Blank(environment("DAYTONA_TARGET")),
            Snapshot = CloudOptions.Blank(options.Snapshot),
            Image = CloudOptions.Blank(options.Image),
            Cpu = options.Cpu,
            MemoryGb = options.MemoryGb,
            DiskGb = options.DiskGb,
            NetworkBlockAll = options.NetworkBlockAll,
            AutoStopMinutes = (int)Math.Ceiling(options.AutoStop.TotalMinutes),
            Ephemeral = options.Ephemeral,
            EnvVars = new Dictionary<string, string>(options.EnvVars, StringComparer.Ordinal),
        };
    }

    private static void CheckMachine(DaytonaSandboxOptions options)
    {
        if (CloudOptions.Blank(options.Snapshot) is not null && CloudOptions.Blank(options.Image) is not null)
        {
            throw Problem(nameof(DaytonaSandboxOptions.Image), $"is set, and so is {nameof(DaytonaSandboxOptions.Snapshot)}; set one of them");
        }

        if (CloudOptions.Blank(options.Image) is { } image && image.Any(char.IsWhiteSpace))
        {
            throw Problem(nameof(DaytonaSandboxOptions.Image), $"is '{image}'; an image's name has no white space");
        }

        foreach (var (name, value) in new[]
        {
            (nameof(DaytonaSandboxOptions.Cpu), options.Cpu),
            (nameof(DaytonaSandboxOptions.MemoryGb), options.MemoryGb),
            (nameof(DaytonaSandboxOptions.DiskGb), options.DiskGb),
        })
        {
            if (value <= 0)
            {
                throw Problem(name, $"is {value}; it must be above 0, or null for Daytona's default");
            }

            if (value is not null && CloudOptions.Blank(options.Image) is null)
            {
                throw Problem(name, $"is {value}, and there is no {nameof(DaytonaSandboxOptions.Image)}; a snapshot has its own resources");
            }
        }

        if (options.AutoStop < TimeSpan.Zero || options.AutoStop > TimeSpan.FromDays(30))
        {
            throw Problem(nameof(DaytonaSandboxOptions.AutoStop), $"is {options.AutoStop}; it must be from zero (never) to 30 days");
        }
    }

    private static string NameOf(string option) => $"{nameof(DaytonaSandboxOptions)}.{option}";

    private static ArgumentException Problem(string option, string problem) => new($"{NameOf(option)} {problem}.");
}
