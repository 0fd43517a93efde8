namespace DeepRecall.Loop;

/// <summary>Tells whether a model refused a prompt because it is too long for its window.</summary>
internal static class ContextLengthErrors
{
    // What DeepRecall.Backends notes on the exceptions of all providers alike.
    private const string KindKey = "deeprecall.backend_error";

    private static readonly string[] Words =
    [
        "context_length_exceeded", "maximum context length", "context window", "context length", "prompt is too long", "input token count", "exceeds the maximum number of tokens",
    ];

    public static bool Is(Exception error)
    {
        if (error is OperationCanceledException)
        {
            return false;
        }

        return error.Data[KindKey] is string kind
            ? kind == "ContextLength"
            : Words.Any(word => error.Message.Contains(word, StringComparison.OrdinalIgnoreCase));
    }
}
