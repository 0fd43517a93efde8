using System.Text;
using CsCheck;
using DeepRecall.Request;

namespace DeepRecall.Tests.Request;

public sealed class TextSourceTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AnyText_IsWrittenAsUtf8WithItsLoneSurrogatesReplacedAndCounted()
    {
        var piece = Gen.OneOf(Gen.OneOf("\uD800", "\uDC00", "\uD83D\uDE00", "a", "\u00e9", "\u2028", "\0", "\uFFFD"), Gen.String[0, 5]);
        await piece.Array[0, 60].Select(string.Concat).SampleAsync(
            async text =>
            {
                using var target = new MemoryStream();
                var replaced = await new TextSource(text, ContextFormat.Text, null).WriteAsync(target, Token);
                Assert.Equal(Encoding.UTF8.GetBytes(text), target.ToArray());
                Assert.Equal(LoneSurrogates.Count(text), replaced);
                Assert.Equal(text.EnumerateRunes().Count(rune => rune == Rune.ReplacementChar) - text.Count(letter => letter == '\uFFFD'), replaced);
            },
            iter: 5_000,
            threads: 1);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task LoneSurrogateAtTheEndOfABuffer_IsReplacedToo(int shift)
    {
        var text = new string('a', (256 * 1024) - 2 + shift - 1) + "\uD800\uD83D\uDE00\uDC00" + new string('\u2028', 200_000);
        using var target = new MemoryStream();
        Assert.Equal(2, await new TextSource(text, ContextFormat.Text, null).WriteAsync(target, Token));
        Assert.Equal(Encoding.UTF8.GetBytes(text), target.ToArray());
    }

    [Fact]
    public void ShortText_GoesInline_AndOneWithALoneSurrogateDoesNot()
    {
        Assert.Equal("short", new TextSource("short", ContextFormat.Text, null).Inline);
        Assert.Null(new TextSource(new string('x', 100_000), ContextFormat.Text, null).Inline);
        Assert.Null(new TextSource("\uD800", ContextFormat.Text, null).Inline);
    }
}
