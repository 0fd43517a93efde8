namespace DeepRecall.Sandboxing;

/// <summary>How a sandbox process ended.</summary>
/// <param name="ExitCode">Its exit code, or <see langword="null"/> when a signal ended it or the environment does not tell.</param>
/// <param name="Signal">The number of the signal that ended it, or <see langword="null"/>.</param>
/// <param name="Detail">What else the environment knows, for example that memory ran out.</param>
public sealed record SandboxExit(int? ExitCode, int? Signal = null, string? Detail = null)
{
    /// <summary>Says in a few words how the process ended, for example <c>killed by signal 11 (SIGSEGV)</c>.</summary>
    public override string ToString()
    {
        var text = (Signal, ExitCode) switch
        {
            ({ } signal, _) => $"killed by signal {signal}{SignalName(signal)}",
            (null, { } code) => $"exit code {code}",
            _ => null,
        };
        return text is null || Detail is null ? text ?? Detail ?? "the process ended" : $"{text}, {Detail}";
    }

    private static string SignalName(int signal) => signal switch
    {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL; often the system's answer when memory runs out)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        25 => " (SIGXFSZ)",
        31 => " (SIGSYS)",
        _ => string.Empty,
    };
}
