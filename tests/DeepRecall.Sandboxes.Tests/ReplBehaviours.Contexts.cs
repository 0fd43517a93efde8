using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DeepRecall.Request;
using DeepRecall.Trajectory;

namespace DeepRecall.Sandboxes.Tests;

// How a context gets into the REPL: as what, and exactly.
public abstract partial class ReplBehaviours
{
    private const string Sha256 = "__import__('hashlib').sha256(context.encode()).hexdigest()";

    [Fact]
    public async Task Text_IsAStr()
    {
        await using var repl = await StartAsync(ContextContent.FromText("a text", "notes"));
        Assert.Equal("'a text' True\n", await repl.PrintAsync("print(repr(context), context is context_0)"));
        Assert.Equal(new ContextRecord("context_0", "notes", "str", 6, 6), Assert.Single(repl.Session.Contexts));
    }

    [Fact]
    public async Task SeveralContexts_AreNumbered()
    {
        await using var repl = await StartAsync(ContextContent.FromText("first"), ContextContent.FromText("second"), ContextContent.FromText(string.Empty));
        Assert.Equal("first first second ''\n", await repl.PrintAsync("print(context, context_0, context_1, repr(context_2))"));
        Assert.Equal(["context_0", "context_1", "context_2"], repl.Session.Contexts.Select(context => context.Variable));
    }

    [Fact]
    public async Task Json_IsWhatPythonMakesOfIt()
    {
        using var document = JsonDocument.Parse("""{"a":[1,2.5,null,true],"b":{"c":"é\u0000"}}""");
        await using var repl = await StartAsync(ContextContent.FromJson(document.RootElement));
        Assert.Equal("{'a': [1, 2.5, None, True], 'b': {'c': '\\xe9\\x00'}}\n", await repl.PrintAsync("print(ascii(context))"));
        Assert.Equal(("dict", 2L), (repl.Session.Contexts[0].Type, repl.Session.Contexts[0].Length));
    }

    [Fact]
    public async Task JsonLines_AreAListOfTheirValues()
    {
        using var stream = new MemoryStream("{\"a\":1}\r\n\n[2]\n\"three\u2028\"\nnull"u8.ToArray());
        await using var repl = await StartAsync(ContextContent.FromStream(stream, ContextFormat.JsonLines, "lines"));
        Assert.Equal("[{'a': 1}, [2], 'three\\u2028', None]\n", await repl.PrintAsync("print(ascii(context))"));
        Assert.Equal(("list", 4L), (repl.Session.Contexts[0].Type, repl.Session.Contexts[0].Length));
    }

    [Fact]
    public async Task Documents_AreAListOfStrings()
    {
        string[] documents = ["one", string.Empty, "line\r\nline\n", "\u2028\u0085\0 \"quoted\" \\ \uD83D\uDE00", new('x', 300_000)];
        await using var repl = await StartAsync(ContextContent.FromDocuments(documents));
        var lengths = await repl.ValueAsync("[[len(d), __import__('hashlib').sha256(d.encode()).hexdigest()] for d in context]");
        Assert.Equal(
            documents.Select(document => Hash(document)),
            lengths.EnumerateArray().Select(item => item[1].GetString()));
    }

    [Theory]
    [InlineData(100)]
    [InlineData(200_000)]
    public async Task TextOfAnyCharacters_ArrivesByteExact(int length)
    {
        const string Piece = "a\r\nb\nc\rd\0e\tf\u001b[0m\"'\\`{}$\u00e9\u2028\u2029\u0085\ufeff\uffff\U0001F600\U0010FFFF</script>%s\n";
        var text = string.Concat(Enumerable.Repeat(Piece, (length / Piece.Length) + 1));
        await using var repl = await StartAsync(ContextContent.FromText(text));
        Assert.Equal(Hash(text), (await repl.ValueAsync(Sha256)).GetString());
        Assert.Empty(repl.Session.Notes);
    }

    [Fact]
    public async Task TextOfRandomCharacters_ArrivesByteExact()
    {
        // Runs of one-, two-, three- and four-byte characters, so that some stand across every buffer's end.
        var random = new Random(7);
        var text = new StringBuilder();
        while (text.Length < 3_000_000)
        {
            var rune = random.Next(4) switch { 0 => random.Next(0x80), 1 => random.Next(0x80, 0x800), 2 => random.Next(0x800, 0xD800), _ => random.Next(0x10000, 0x110000) };
            text.Append(new Rune(rune));
        }

        await using var repl = await StartAsync(ContextContent.FromText(text.ToString()));
        Assert.Equal(Hash(text.ToString()), (await repl.ValueAsync(Sha256)).GetString());
    }

    [Fact]
    public async Task FileAndStream_ArriveByteExact()
    {
        var bytes = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 20_000).Select(line => $"{line}: é \uD83D\uDE00\r\n")));
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        await File.WriteAllBytesAsync(path, bytes, Token);
        try
        {
            using var stream = new MemoryStream(bytes);
            await using var repl = await StartAsync(ContextContent.FromFile(path), ContextContent.FromStream(stream));
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), (await repl.ValueAsync(Sha256)).GetString());
            Assert.Equal("True 20000\n", await repl.PrintAsync("print(context == context_1, context.count('\\r\\n'))"));
            Assert.Equal(Path.GetFileName(path), repl.Session.Contexts[0].Name);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task LoneSurrogates_AreReplacedAndCounted()
    {
        await using var repl = await StartAsync(
            ContextContent.FromText("a\uD800b\uDC00\uD83D\uDE00\uD83D", "halves"),
            ContextContent.FromDocuments(["\uDFFF", "whole"]));
        Assert.Equal("'a\\ufffdb\\ufffd\\U0001f600\\ufffd' ['\\ufffd', 'whole']\n", await repl.PrintAsync("print(ascii(context), ascii(context_1))"));
        Assert.Equal(2, repl.Session.Notes.Count);
        Assert.StartsWith("halves: 3 lone surrogates", repl.Session.Notes[0], StringComparison.Ordinal);
        Assert.StartsWith("context_1: 1 lone surrogate", repl.Session.Notes[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task BytesThatAreNotUtf8_AreReplacedAndCounted()
    {
        // A U+FFFD that the file itself holds is not one that was put there.
        using var stream = new MemoryStream([.. "a"u8, 0xFF, .. "b"u8, 0xC3, .. "(\uFFFD"u8, 0x80]);
        await using var repl = await StartAsync(ContextContent.FromStream(stream, name: "bytes"));
        Assert.Equal("'a\\ufffdb\\ufffd(\\ufffd\\ufffd'\n", await repl.PrintAsync("print(ascii(context))"));
        Assert.StartsWith("bytes: 3 byte sequences are not UTF-8", Assert.Single(repl.Session.Notes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"a\":", ContextFormat.Json)]
    [InlineData("", ContextFormat.Json)]
    [InlineData("1\n{bad}\n", ContextFormat.JsonLines)]
    public async Task ContextThatIsNoJson_IsRefusedByName(string text, ContextFormat format)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => StartAsync(ContextContent.FromStream(stream, format, "my data")));
        Assert.Contains("'my data'", error.Message, StringComparison.Ordinal);
        Assert.Contains("JSONDecodeError", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ContextFormat.Json)]
    [InlineData(ContextFormat.JsonLines)]
    public async Task JsonWithAByteOrderMark_IsRead(ContextFormat format)
    {
        using var stream = new MemoryStream([.. Encoding.UTF8.Preamble, .. "[1]\n"u8]);
        await using var repl = await StartAsync(ContextContent.FromStream(stream, format));
        Assert.Equal(format == ContextFormat.Json ? "[1]\n" : "[[1]]\n", await repl.PrintAsync("print(context)"));
    }

    [Fact]
    public async Task ContextThatCannotBeRead_PassesItsExceptionOn()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        await File.WriteAllTextAsync(path, "x", Token);
        var context = ContextContent.FromFile(path);
        File.Delete(path);
        await Assert.ThrowsAsync<FileNotFoundException>(() => StartAsync(context));
        await Assert.ThrowsAsync<InvalidDataException>(() => StartAsync(ContextContent.FromDocuments(["a", null!])));
    }

    [Fact]
    public async Task ContextOf20000Lines_IsThereLineByLine()
    {
        var text = string.Join('\n', Enumerable.Range(0, 20_000).Select(line => $"line {line}"));
        await using var repl = await StartAsync(ContextContent.FromText(text));
        Assert.Equal("20000 line 12345\n", await repl.PrintAsync("lines = context.split('\\n')\nprint(len(lines), lines[12345])"));
    }

    [Fact]
    public async Task ContextOf50Megabytes_DoesNotMakeCellsSlower()
    {
        var text = string.Concat(Enumerable.Repeat("0123456789abcdef0123456789abcde\n", 50_000_000 / 32));
        await using var large = await StartAsync(ContextContent.FromText(text));
        await using var small = await StartAsync(ContextContent.FromText("small"));
        Assert.Equal(text.Length, (await large.ValueAsync("len(context)")).GetInt32());

        // A cell that copied the context would take tens of milliseconds more, a hundredfold.
        var (withSmall, withLarge) = (await MedianCellAsync(small), await MedianCellAsync(large));
        Assert.True(withLarge < (10 * withSmall) + TimeSpan.FromMilliseconds(10), $"{withLarge} with 50 MB, {withSmall} with 5 bytes");
    }

    [Fact]
    public async Task EmptyContexts_AreThere()
    {
        using var stream = new MemoryStream();
        await using var repl = await StartAsync(ContextContent.FromText(string.Empty), ContextContent.FromStream(stream), ContextContent.FromDocuments([]));
        Assert.Equal("['', '', []]\n", await repl.PrintAsync("print([context_0, context_1, context_2])"));
    }

    [Fact]
    public async Task DeeplyNestedJson_IsRead()
    {
        var text = string.Concat(Enumerable.Repeat("[", 300)) + "\"é\"" + string.Concat(Enumerable.Repeat("]", 300));
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        await using var repl = await StartAsync(ContextContent.FromStream(stream, ContextFormat.Json));
        Assert.Equal("300 é\n", await repl.PrintAsync("depth = 0\ninner = context\nwhile isinstance(inner, list):\n    inner, depth = inner[0], depth + 1\nprint(depth, inner)"));
    }

    [Fact]
    public async Task ManyLargeContexts_AreAllThere()
    {
        var contexts = Enumerable.Range(0, 8).Select(number => ContextContent.FromText(new string((char)('a' + number), 200_000))).ToArray();
        await using var repl = await StartAsync(contexts);
        Assert.Equal("abcdefgh 1600000\n", await repl.PrintAsync("every = [globals()[f'context_{i}'] for i in range(8)]\nprint(''.join(c[0] for c in every), sum(map(len, every)))"));
    }

    private static async Task<TimeSpan> MedianCellAsync(TestRepl repl)
    {
        List<TimeSpan> times = [];
        for (var cell = 0; cell < 51; cell++)
        {
            var started = TimeProvider.System.GetTimestamp();
            await repl.PrintAsync($"x = {cell}");
            times.Add(TimeProvider.System.GetElapsedTime(started));
        }

        times.Sort();
        return times[times.Count / 2];
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
