namespace DeepRecall.Trajectory;

/// <summary>Shortens texts that a record keeps or a prompt shows.</summary>
internal static class Excerpt
{
    /// <summary>How much of a prompt or a response a record keeps.</summary>
    public const int RecordLimit = 4_000;

    /// <summary>The beginning of a text, never ending in half a character.</summary>
    public static string Head(string text, int limit = RecordLimit) =>
        text.Length <= limit ? text : text[..(char.IsHighSurrogate(text[limit - 1]) ? limit - 1 : limit)];

    /// <summary>The beginning and the end of a text, with the number of characters between them.</summary>
    public static string HeadAndTail(string text, int limit)
    {
        if (text.Length <= limit)
        {
            return text;
        }

        var head = Head(text, limit / 2);
        var start = text.Length - (limit / 2);
        var tail = text[(char.IsLowSurrogate(text[start]) ? start + 1 : start)..];
        return $"{head}\n... [{text.Length - head.Length - tail.Length:N0} characters left out] ...\n{tail}";
    }
}
