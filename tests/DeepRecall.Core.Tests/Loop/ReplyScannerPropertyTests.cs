using CsCheck;
using DeepRecall.Loop;

namespace DeepRecall.Tests.Loop;

public sealed class ReplyScannerPropertyTests
{
    private static readonly Gen<string> Fragment = Gen.OneOf(
        Gen.OneOf(
            "```", "````", "~~~", "`", "```repl", "```python\n", "\n```\n", "\n~~~\n", "\n", "\r\n", "\r", "    ", "\t", "'''", "\"\"\"", "'", "\"", "\\", "#",
            "<think>", "</think>", "x = 1", "repl", "FINAL(", ")", "```repl\nprint(1)\n```\n", "\uD83D\uDE00", "\uD800", "\0"),
        Gen.String[0, 4]);

    private static readonly Gen<string> Text = Fragment.Array[0, 40].Select(string.Concat);

    private static readonly Gen<string> CodeLine = Gen.OneOf(
        Gen.OneOf("x = 1", "    y = 2", "", "  ", "\tz()", "# it's a comment", "s = 'a' + \"b\"", "if x:", "`x`", "``", "~~ ~"),
        Gen.Char["abc =():,.[]{}+-*/0123456789_ "].Array[0, 30].Select(letters => new string(letters)));

    [Fact]
    public void Result_DoesNotDependOnHowTheReplyIsCut() =>
        Gen.Select(Text, Gen.Int[0, 200].Array[0, 12]).Sample(
            (text, cuts) =>
            {
                var whole = Scan.Reply(text);
                var pieces = Scan.Reply(Cut(text, cuts));
                Assert.Equal(whole.Prose, pieces.Prose);
                Assert.Equal(whole.Blocks, pieces.Blocks);

                var letters = Scan.Reply([.. text.Select(letter => letter.ToString())]);
                Assert.Equal(whole.Prose, letters.Prose);
                Assert.Equal(whole.Blocks, letters.Blocks);
            },
            iter: 5_000,
            threads: 1);

    [Fact]
    public void AnyText_CanBePlannedAndSearchedForAnAnswer() =>
        Text.Sample(
            text =>
            {
                var (prose, blocks) = Scan.Reply(text);
                _ = FinalText.TryFind(prose);
                var plan = ReplyPlan.From(blocks, CodeFences.Repl | CodeFences.Python | CodeFences.Untagged, cutOff: false);
                Assert.True(plan.Cells.Count <= blocks.Count);
                Assert.DoesNotContain(plan.Cells, string.IsNullOrWhiteSpace);
            },
            iter: 5_000,
            threads: 1);

    [Fact]
    public void FencedCode_ComesBackExactly() =>
        Gen.Select(CodeLine.Array[0, 20], Gen.OneOf("```", "````", "~~~"), Gen.OneOf("\n", "\r\n")).Sample(
            (lines, fence, newLine) =>
            {
                // A first line at the margin, for shared indentation is taken away.
                string[] code = ["first = 0", .. lines];
                var (prose, blocks) = Scan.Reply(string.Join(newLine, ["before", $"{fence}repl", .. code, fence, "after"]));
                Assert.Equal(new ReplyBlock("repl", string.Join('\n', code), true), Assert.Single(blocks));
                Assert.Equal("before\nafter", prose);
            },
            iter: 3_000,
            threads: 1);

    [Fact]
    public void AlternatingQuotesAndFences_AreReadInTimeLinearInTheirLength()
    {
        var text = string.Concat(Enumerable.Range(0, 20_000).Select(index => $"```repl\nx = {(index % 2 == 0 ? "'''" : "\"\"\"")}\n```\n"));
        var started = TimeProvider.System.GetTimestamp();
        Assert.NotEmpty(Scan.Reply(text).Blocks);
        Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(20));
    }

    private static string[] Cut(string text, int[] cuts)
    {
        int[] places = [0, .. cuts.Select(cut => Math.Min(cut, text.Length)).Order(), text.Length];
        return [.. places.Zip(places.Skip(1), (from, to) => text[from..to])];
    }
}
