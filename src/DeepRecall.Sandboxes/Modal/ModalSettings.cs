using DeepRecall.Sandboxes.Cloud;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>Options as they are used: checked, and completed from the environment.</summary>
internal sealed class ModalSettings
{
    private const string TokenIdVariable = "MODAL_TOKEN_ID";
    private const string TokenSecretVariable = "MODAL_TOKEN_SECRET";
    private const string ServerUrlVariable = "MODAL_SERVER_URL";

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

    public required IReadOnlyDictionary<string, string> EnvVars { get; init; }

    /// <exception cref="ArgumentException">An option is missing or out of range; the message names the option, the value and what is allowed.</exception>
    public static ModalSettings Resolve(ModalSandboxOptions options, Func<string, string?> environment)
    {
        if (options.Timeout < ShortestTimeout || options.Timeout > LongestTimeout || options.Timeout.Ticks % TimeSpan.TicksPerSecond != 0)
        {
            throw Problem(nameof(ModalSandboxOptions.Timeout), $"is {options.Timeout}; whole seconds from {ShortestTimeout} to {LongestTimeout} are allowed");
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
            TokenId = CloudOptions.Required(options.TokenId, environment(TokenIdVariable), NameOf(nameof(options.TokenId)), TokenIdVariable),
            TokenSecret = CloudOptions.Required(options.TokenSecret, environment(TokenSecretVariable), NameOf(nameof(options.TokenSecret)), TokenSecretVariable),
            ServerUrl = CloudOptions.Address(options.ServerUrl, NameOf(nameof(options.ServerUrl))) ?? CloudOptions.Address(CloudOptions.Blank(environment(ServerUrlVariable)), ServerUrlVariable) ?? new Uri("https://api.modal.com"),
            Environment = CloudOptions.Given(options.Environment, NameOf(nameof(options.Environment))) ?? CloudOptions.Blank(environment("MODAL_ENVIRONMENT")) ?? string.Empty,
            AppName = CloudOptions.Blank(options.AppName) ?? throw Problem(nameof(ModalSandboxOptions.AppName), "is blank; it names the app that owns the sandboxes"),
            Image = CheckImage(options.Image),
            Cpu = options.Cpu,
            MemoryMb = options.MemoryMb,
            Timeout = options.Timeout,
            BlockNetwork = options.BlockNetwork,
            EnvVars = new Dictionary<string, string>(options.EnvVars, StringComparer.Ordinal),
        };
    }

    private static string CheckImage(string? image) => CloudOptions.Blank(image) switch
    {
        null => throw Problem(nameof(ModalSandboxOptions.Image), "is blank; it names an image with python3, for example python:3.13-slim"),
        { } name when name.Any(char.IsWhiteSpace) => throw Problem(nameof(ModalSandboxOptions.Image), $"is '{name}'; an image's name has no white space"),
        { } name => name,
    };

    private static string NameOf(string option) => $"{nameof(ModalSandboxOptions)}.{option}";

    private static ArgumentException Problem(string option, string problem) => new($"{NameOf(option)} {problem}.");
}
