namespace DeepRecall.Request;

/// <summary>Halves of surrogate pairs: legal in a .NET string, not in UTF-8.</summary>
internal static class LoneSurrogates
{
    public static long Count(ReadOnlySpan<char> text)
    {
        long count = 0;
        int next;
        while ((next = text.IndexOfAnyInRange('\uD800', '\uDFFF')) >= 0)
        {
            var isPair = next + 1 < text.Length && char.IsSurrogatePair(text[next], text[next + 1]);
            count += isPair ? 0 : 1;
            text = text[(next + (isPair ? 2 : 1))..];
        }

        return count;
    }
}
