namespace DeepRecall.Request;

/// <summary>What a context's bytes are, and so what the REPL variable is.</summary>
public enum ContextFormat
{
    /// <summary>UTF-8 text; <c>context</c> is a <c>str</c>, character for character.</summary>
    Text,

    /// <summary>One JSON value; <c>context</c> is what Python's <c>json.loads</c> makes of it.</summary>
    Json,

    /// <summary>One JSON value a line (JSON Lines); <c>context</c> is the list of them.</summary>
    JsonLines,
}
