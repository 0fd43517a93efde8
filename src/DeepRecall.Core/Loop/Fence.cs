namespace DeepRecall.Loop;

/// <summary>An opening code fence: three or more backticks or tildes, and what stands behind them.</summary>
internal sealed record Fence(char Mark, int Length, int Indent, string Tag)
{
    public static Fence? TryOpen(string line)
    {
        var (indent, length) = Measure(line);
        if (length < 3)
        {
            return null;
        }

        var mark = line[indent];
        var info = line[(indent + length)..].Trim();
        if (mark == '`' && info.Contains('`', StringComparison.Ordinal))
        {
            return null; // code within a line of text
        }

        var word = info.Split([' ', '\t', '{', '}', ',', ':'], StringSplitOptions.RemoveEmptyEntries).FirstOrDefault() ?? string.Empty;
        return new Fence(mark, length, indent, word.TrimStart('.').ToLowerInvariant());
    }

    public bool IsClosedBy(string line)
    {
        var (indent, length) = Measure(line);
        return length >= Length && line[indent] == Mark && string.IsNullOrWhiteSpace(line[(indent + length)..]);
    }

    private static (int Indent, int Length) Measure(string line)
    {
        var indent = 0;
        while (indent < line.Length && line[indent] is (' ' or '\t'))
        {
            indent++;
        }

        if (indent == line.Length || line[indent] is not ('`' or '~'))
        {
            return (indent, 0);
        }

        var end = indent;
        while (end < line.Length && line[end] == line[indent])
        {
            end++;
        }

        return (indent, end - indent);
    }
}
