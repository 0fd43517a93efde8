namespace DeepRecall.Loop;

/// <summary>An answer given as text: <c>FINAL(the answer)</c> or <c>FINAL_VAR(name)</c> on a line of its own, outside code.</summary>
/// <param name="IsVariable">Whether <paramref name="Value"/> is the name of a variable.</param>
/// <param name="Value">The answer, or the variable's name.</param>
internal sealed record FinalText(bool IsVariable, string Value)
{
    /// <summary>Finds the first one in a reply's prose. A <c>FINAL(...)</c> may go on over lines, up to the line that closes its bracket; where brackets in the answer do not match up, up to the last line that ends with one.</summary>
    public static FinalText? TryFind(string prose)
    {
        var lines = prose.Split('\n');
        for (var index = 0; index < lines.Length; index++)
        {
            var line = lines[index].Trim();
            if (line.StartsWith("FINAL_VAR(", StringComparison.Ordinal) && line.EndsWith(')'))
            {
                var name = line["FINAL_VAR(".Length..^1].Trim().Trim('"', '\'').Trim();
                if (IsIdentifier(name))
                {
                    return new FinalText(true, name);
                }
            }
            else if (line.StartsWith("FINAL(", StringComparison.Ordinal))
            {
                if (TryEnd(lines, index) is { } text)
                {
                    return new FinalText(false, Unquote(text["FINAL(".Length..^1].Trim()));
                }
            }
        }

        return null;
    }

    private static string? TryEnd(string[] lines, int start)
    {
        string? longest = null;
        for (var end = start; end < lines.Length; end++)
        {
            if (lines[end].TrimEnd().EndsWith(')'))
            {
                longest = string.Join('\n', lines[start..(end + 1)]).Trim();
                if (longest.Count(letter => letter == '(') == longest.Count(letter => letter == ')'))
                {
                    return longest;
                }
            }
        }

        return longest;
    }

    private static string Unquote(string text)
    {
        foreach (var quote in (string[])["\"\"\"", "'''", "\"", "'"])
        {
            if (text.Length >= 2 * quote.Length
                && text.StartsWith(quote, StringComparison.Ordinal)
                && text.EndsWith(quote, StringComparison.Ordinal)
                && !text[quote.Length..^quote.Length].Contains(quote, StringComparison.Ordinal))
            {
                return text[quote.Length..^quote.Length];
            }
        }

        return text;
    }

    private static bool IsIdentifier(string text) =>
        text.Length > 0 && (char.IsLetter(text[0]) || text[0] == '_') && text.All(letter => char.IsLetterOrDigit(letter) || letter == '_');
}
