using System.Text.Json;

namespace DeepRecall.Backends;

/// <summary>Options as they are used: checked, and completed from the environment.</summary>
internal sealed record BackendSettings
{
    private static readonly string[] SecretWords = ["key", "token", "auth", "secret", "cookie"];

    public required string Name { get; init; }

    public required ProviderInfo Provider { get; init; }

    public required string Model { get; init; }

    public string? ApiKey { get; init; }

    public required Uri BaseUrl { get; init; }

    public string? ApiVersion { get; init; }

    public string? VirtualKey { get; init; }

    /// <summary>Whether requests go through Portkey, whatever the provider.</summary>
    public bool ThroughPortkey { get; init; }

    public required BackendOptions Options { get; init; }

    /// <summary>Everything that must never be shown, also as it stands in JSON; the longest first, for one may be the beginning of another.</summary>
    public IEnumerable<string> Secrets => ((string?[])[ApiKey, VirtualKey, .. Options.Headers.Where(header => IsSecret(header.Key)).Select(header => header.Value.Split(' ')[^1])])
        .OfType<string>()
        .Where(secret => secret.Length >= 4)
        .SelectMany(secret => (string[])[secret, JsonEncodedText.Encode(secret).Value, secret.Replace("/", @"\/", StringComparison.Ordinal)])
        .Distinct()
        .OrderByDescending(secret => secret.Length);

    /// <summary>A text without the secrets.</summary>
    public string Redact(string text) => Secrets.Aggregate(text, (current, secret) => current.Replace(secret, "***", StringComparison.Ordinal));

    // A record would print all that it has.
    public override string ToString() => Options.ToString();

    /// <exception cref="ArgumentException">An option is missing or out of range; the message names the option, the value and what is allowed.</exception>
    public static BackendSettings Resolve(BackendOptions options, Func<string, string?> environment)
    {
        var name = NotBlank(options.Name) ?? NotBlank(options.Provider)
            ?? throw new ArgumentException($"{nameof(BackendOptions)}.{nameof(BackendOptions.Provider)} is not set; it is one of {string.Join(", ", BackendNames.All)}.", nameof(options));
        var providerName = NotBlank(options.Provider) ?? name;
        if (!ProviderInfo.All.TryGetValue(providerName, out var provider))
        {
            throw Problem(name, nameof(BackendOptions.Provider), $"is '{providerName}'; it must be one of {string.Join(", ", BackendNames.All)}");
        }

        CheckRanges(name, options);
        var model = NotBlank(options.ModelName) ?? throw Problem(name, nameof(BackendOptions.ModelName), "is not set; it names the model, or the deployment");
        var virtualKey = NotBlank(options.VirtualKey);
        if (virtualKey is not null && provider.Name is not (BackendNames.Portkey or BackendNames.Vercel))
        {
            throw Problem(name, nameof(BackendOptions.VirtualKey), $"is set, but '{provider.Name}' has no virtual keys; they are for portkey and vercel");
        }

        // A credential is an explicit choice; a variable that happens to be set does not undo it.
        var key = NotBlank(options.ApiKey) ?? (options.Credential is null ? FromEnvironment(provider.KeyVariables, environment) : null);
        var throughPortkey = provider.Name == BackendNames.Portkey;
        if (provider.Name == BackendNames.Vercel && (virtualKey is not null || (key is null && NotBlank(environment(ProviderInfo.PortkeyKeyVariable)) is not null)))
        {
            throughPortkey = true;
            key = NotBlank(options.ApiKey) ?? NotBlank(environment(ProviderInfo.PortkeyKeyVariable));
        }

        if (key is null && provider.KeyRequired && options.Credential is null)
        {
            IReadOnlyList<string> variables = throughPortkey ? [ProviderInfo.PortkeyKeyVariable]
                : provider.Name == BackendNames.Vercel ? [.. provider.KeyVariables, ProviderInfo.PortkeyKeyVariable]
                : provider.KeyVariables;
            throw Problem(name, nameof(BackendOptions.ApiKey), $"is not set; set it, or the environment variable {string.Join(" or ", variables)}");
        }

        if (options.Credential is not null && provider.Name != BackendNames.AzureOpenAI)
        {
            throw Problem(name, nameof(BackendOptions.Credential), $"is set, but '{provider.Name}' takes keys only; credentials are for azure_openai");
        }

        // The v1 API has no dated versions: one meant for classic deployments is not sent there.
        var baseUrl = ResolveBaseUrl(name, options, provider, throughPortkey, environment);
        return new BackendSettings
        {
            Name = name,
            Provider = provider,
            Model = model,
            ApiKey = key,
            BaseUrl = baseUrl,
            ApiVersion = NotBlank(options.ApiVersion) ?? (provider.Name == BackendNames.AzureOpenAI && !IsV1(baseUrl) ? NotBlank(environment("AZURE_OPENAI_API_VERSION")) : null),
            VirtualKey = virtualKey,
            ThroughPortkey = throughPortkey,
            Options = options.Clone(),
        };
    }

    /// <summary>Whether an address of Azure OpenAI is that of its v1 API.</summary>
    public static bool IsV1(Uri baseUrl) => baseUrl.AbsolutePath.TrimEnd('/').EndsWith("/openai/v1", StringComparison.OrdinalIgnoreCase);

    private static Uri ResolveBaseUrl(string name, BackendOptions options, ProviderInfo provider, bool throughPortkey, Func<string, string?> environment)
    {
        var url = NotBlank(options.BaseUrl)
            ?? (provider.BaseUrlVariable is null ? null : NotBlank(environment(provider.BaseUrlVariable)))
            ?? (throughPortkey ? ProviderInfo.PortkeyUrl : provider.DefaultBaseUrl)
            ?? throw Problem(
                name,
                nameof(BackendOptions.BaseUrl),
                $"is not set, and '{provider.Name}' has no address of its own; set it{(provider.BaseUrlVariable is null ? string.Empty : $", or the environment variable {provider.BaseUrlVariable}")}");
        if (provider.Name == BackendNames.Ollama)
        {
            url = OllamaUrl(url);
        }

        return Uri.TryCreate(url, UriKind.Absolute, out var parsed) && parsed.Scheme is "http" or "https"
            ? parsed
            : throw Problem(name, nameof(BackendOptions.BaseUrl), $"is '{url}'; it must be an absolute http or https address");
    }

    /// <summary>OLLAMA_HOST may be an address, or a host and a port, or only one of them; 0.0.0.0 is what a server listens on, and no place to call.</summary>
    private static string OllamaUrl(string url)
    {
        const string Any = "0.0.0.0";
        var scheme = url.IndexOf("://", StringComparison.Ordinal) is >= 0 and var end ? url[..(end + 3)] : string.Empty;
        var rest = url[scheme.Length..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var (authority, path) = slash < 0 ? (rest, string.Empty) : (rest[..slash], rest[slash..]);
        var colon = authority.LastIndexOf(':');
        var (host, port) = colon > authority.LastIndexOf(']') ? (authority[..colon], authority[colon..]) : (authority, string.Empty);
        host = host is "" or Any ? "127.0.0.1" : host;
        return scheme.Length > 0 ? $"{scheme}{host}{port}{path}" : $"http://{host}{(port.Length > 0 ? port : ":11434")}{path}";
    }

    private static void CheckRanges(string name, BackendOptions options)
    {
        Check(options.Timeout > TimeSpan.Zero && options.Timeout.TotalMilliseconds <= int.MaxValue, nameof(options.Timeout), options.Timeout, "more than zero and at most 24 days");
        Check(options.MaxRetries is >= 0 and <= 20, nameof(options.MaxRetries), options.MaxRetries, "from 0 to 20");
        Check(options.Temperature is null or >= 0, nameof(options.Temperature), options.Temperature, "0 or more");
        Check(options.TopP is null or (> 0 and <= 1), nameof(options.TopP), options.TopP, "more than 0 and at most 1");
        Check(options.MaxOutputTokens is null or > 0, nameof(options.MaxOutputTokens), options.MaxOutputTokens, "1 or more");
        Check(options.ContextWindow is null or > 0, nameof(options.ContextWindow), options.ContextWindow, "1 or more");
        Check(options.Pricing is null or { InputPerMillion: >= 0, OutputPerMillion: >= 0, CachedInputPerMillion: null or >= 0 }, nameof(options.Pricing), "negative", "0 or more");

        void Check(bool holds, string option, object? value, string allowed)
        {
            if (!holds)
            {
                throw Problem(name, option, $"is {value}; it must be {allowed}");
            }
        }
    }

    /// <summary>Whether a header of this name carries a secret.</summary>
    public static bool IsSecret(string header) =>
        SecretWords.Any(word => header.Contains(word, StringComparison.OrdinalIgnoreCase));

    private static string? FromEnvironment(IEnumerable<string> variables, Func<string, string?> environment) =>
        variables.Select(variable => NotBlank(environment(variable))).FirstOrDefault(value => value is not null);

    private static ArgumentException Problem(string name, string option, string problem) =>
        new($"The backend '{name}': {nameof(BackendOptions)}.{option} {problem}.");

    private static string? NotBlank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text.Trim();
}
