namespace DeepRecall.Sandboxes.Modal;

/// <summary>Options as they are used: checked, and completed from the environment.</summary>
internal sealed class ModalSettings
{
    private static readonly TimeSpan ShortestTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromHours(24);

    public required string TokenId { get; init; }

    public required string TokenSecret { get; init; }

    public required Uri ServerUrl { get; init; }

    public required string Environment { get; init; }

    public required string AppName { get; init; }

    public required string Image { get; init; }

    public required double? Cpu { get; init; }

    public required int? MemoryMb { get; init; }

    public required TimeSpan Timeout { get; init; }

    public required bool BlockNetwork { get; init; }

    public required IReadOnlyDictionary<string, string> EnvironmentVariables { get; init; }

    /// <exception cref="ArgumentException">An option is missing or out of range; the message names the option, the value and what is allowed.</exception>
    public static ModalSettings Resolve(ModalSandboxOptions options, Func<string, string?> environment)
    {
        if (options.Timeout < ShortestTimeout || options.Timeout > LongestTimeout)
        {
            throw Problem(nameof(ModalSandboxOptions.Timeout), $"is {options.Timeout}; it must be from {ShortestTimeout.TotalSeconds:0} seconds to {LongestTimeout.TotalHours:0} hours");
        }

        if (options.Cpu is { } cpu && !(cpu is > 0 and <= 1_000))
        {
            throw Problem(nameof(ModalSandboxOptions.Cpu), $"is {cpu}; it must be above 0, or null for Modal's default");
        }

        if (options.MemoryMb is { } memory && memory <= 0)
        {
            throw Problem(nameof(ModalSandboxOptions.MemoryMb), $"is {memory}; it must be above 0, or null for Modal's default");
        }

        return new ModalSettings
        {
            TokenId = Required(options.TokenId, "MODAL_TOKEN_ID", nameof(ModalSandboxOptions.TokenId), environment),
            TokenSecret = Required(options.TokenSecret, "MODAL_TOKEN_SECRET", nameof(ModalSandboxOptions.TokenSecret), environment),
            ServerUrl = Address(NotBlank(options.ServerUrl) ?? NotBlank(environment("MODAL_SERVER_URL")) ?? "https://api.modal.com"),
            Environment = NotBlank(options.Environment) ?? NotBlank(environment("MODAL_ENVIRONMENT")) ?? string.Empty,
            AppName = NotBlank(options.AppName) ?? throw Problem(nameof(ModalSandboxOptions.AppName), "is blank; it names the app that owns the sandboxes"),
            Image = CheckImage(options.Image),
            Cpu = options.Cpu,
            MemoryMb = options.MemoryMb,
            Timeout = options.Timeout,
            BlockNetwork = options.BlockNetwork,
            EnvironmentVariables = new Dictionary<string, string>(options.EnvironmentVariables, StringComparer.Ordinal),
        };
    }

    private static string CheckImage(string? image) => NotBlank(image) switch
    {
        null => throw Problem(nameof(ModalSandboxOptions.Image), "is blank; it names an image with python3, for example python:3.13-slim"),
        { } name when name.Any(char.IsWhiteSpace) => throw Problem(nameof(ModalSandboxOptions.Image), $"is '{name}'; an image's name has no white space"),
        { } name => name,
    };

    private static Uri Address(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? address
            : throw Problem(nameof(ModalSandboxOptions.ServerUrl), $"is '{url}'; it must be an absolute http or https address");

    private static string Required(string? value, string variable, string option, Func<string, string?> environment) =>
        NotBlank(value) ?? NotBlank(environment(variable)) ?? throw Problem(option, $"is not set; set it, or the environment variable {variable}");

    private static string? NotBlank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text.Trim();

    private static ArgumentException Problem(string option, string problem) => new($"{nameof(ModalSandboxOptions)}.{option} {problem}.");
}
