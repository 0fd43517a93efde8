namespace DeepRecall.Loop;

/// <summary>Takes away the indentation that a block has only because of where it stands.</summary>
internal static class Indentation
{
    /// <summary>Joins a block's lines without the fence's indentation, and without what all lines share where the first one could not stand otherwise.</summary>
    public static string Remove(IEnumerable<string> lines, int fenceIndent)
    {
        var result = lines.Select(line => line[Math.Min(fenceIndent, Width(line))..]).ToArray();
        var first = Array.FindIndex(result, line => !string.IsNullOrWhiteSpace(line));
        if (first >= 0 && Width(result[first]) > 0)
        {
            var shared = result.Where(line => !string.IsNullOrWhiteSpace(line)).Min(Width);
            result = Array.ConvertAll(result, line => line[Math.Min(shared, Width(line))..]);
        }

        return string.Join('\n', result);
    }

    private static int Width(string line) => line.Length - line.AsSpan().TrimStart(" \t").Length;
}
