using System.Text;
using System.Text.Json;
using DeepRecall.Request;
using DeepRecall.Testing;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Tests.Request;

public sealed class ContextsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("deeprecall-contexts-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task SeveralContexts_AreNumberedAndNamedInTheFirstMessage()
    {
        var result = await new Plan(Script.Code("print(context is context_0, context_0, context_1, context_2)"), Script.Answer("1"))
        {
            Messages =
            [
                new ChatMessage(ChatRole.User, [ContextContent.FromText("alpha"), ContextContent.FromJson(JsonSerializer.SerializeToElement(new { n = 2 }), "numbers"), new TextContent("Compare them.")]),
                new ChatMessage(ChatRole.Assistant, "I shall."),
                new ChatMessage(ChatRole.User, [ContextContent.FromDocuments(["x", "y"], "docs"), new TextContent("And?")]),
            ],
        }.RunAsync(Token);

        Assert.Equal("True alpha {'n': 2} ['x', 'y']\n", result.Output);
        Assert.StartsWith(
            "- `context_0` (also `context`): str, 5 characters\n- `context_1`: dict, 1 entries (7 characters of JSON): numbers\n- `context_2`: list, 2 entries (8 characters of JSON): docs\n",
            result.Model.Requests[0].FirstText,
            StringComparison.Ordinal);
        Assert.Equal(["context_0", "context_1", "context_2"], result.Trajectory.Contexts.Select(context => context.Variable));
        Assert.DoesNotContain("alpha", result.Model.Requests[0].FirstText, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/plain", "[1, 2]", "str")]
    [InlineData("text/markdown", "[1, 2]", "str")]
    [InlineData("text/plain; charset=utf-8", "[1, 2]", "str")]
    [InlineData("application/xml", "<a/>", "str")]
    [InlineData("application/json", "[1, 2]", "list")]
    [InlineData("application/json; charset=utf-8", "[1, 2]", "list")]
    [InlineData("Application/JSON", "[1, 2]", "list")]
    [InlineData("application/problem+json", "[1, 2]", "list")]
    [InlineData("application/x-ndjson", "{\"a\": 1}\n{\"a\": 2}\n", "list")]
    public async Task DataOfATextType_IsAContext(string mediaType, string text, string type)
    {
        var result = await new Plan(Script.Code("print(type(context).__name__)"), Script.Answer("1"))
        {
            Messages = Script.About(new DataContent(Encoding.UTF8.GetBytes(text), mediaType) { Name = "data.txt" }),
        }.RunAsync(Token);

        Assert.Equal(type + "\n", result.Output);
        Assert.Equal("data.txt", Assert.Single(result.Trajectory.Contexts).Name);
        Assert.All(result.Model.Requests[0].Messages, message => Assert.All(message.Contents, content => Assert.IsType<TextContent>(content)));
    }

    [Fact]
    public async Task Image_GoesToTheModelWithTheQuestion()
    {
        var image = new DataContent(new byte[] { 1, 2, 3 }, "image/png");
        var link = new UriContent("https://example.test/picture.png", "image/png");

        var result = await new Plan(Script.Code("print(context)"), Script.Answer("1"))
        {
            Messages = [new ChatMessage(ChatRole.User, [image, ContextContent.FromText("the log"), new TextContent("What is it?"), link])],
        }.RunAsync(Token);

        Assert.Equal("the log\n", result.Output);
        Assert.All(result.Model.Requests, request => Assert.Equal([image, link], request.Messages[1].Contents.Skip(1)));
    }

    [Fact]
    public void MissingFile_IsRefusedWhenTheContextIsMade()
    {
        var path = Path.Combine(_directory, "missing.txt");

        var error = Assert.Throws<FileNotFoundException>(() => ContextContent.FromFile(path));

        Assert.Equal(path, error.FileName);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void DirectoryAsAFile_IsRefusedWhenTheContextIsMade()
    {
        var error = Assert.Throws<ArgumentException>(() => ContextContent.FromFile(_directory));

        Assert.Contains("is a directory", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FileDeletedSince_IsRefusedBeforeASandboxStarts()
    {
        var path = Write("gone.txt", "text"u8);
        var context = ContextContent.FromFile(path);
        File.Delete(path);
        using var sandbox = new RecordingSandbox();
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")), options => options.Sandbox = sandbox);

        var error = await Assert.ThrowsAsync<FileNotFoundException>(() => client.GetResponseAsync(Script.About(context), cancellationToken: Token));

        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Equal(0, sandbox.Starts);
    }

    [Fact]
    public async Task File_IsReadCharacterForCharacter()
    {
        var text = "a\r\nb\0c \"quoted\" 'x' \\n äöü 🐍 \u2028 end";
        var path = Write("odd.txt", Encoding.UTF8.GetBytes(text));

        var result = await new Plan(Script.Answer("context.encode('utf-8').hex()")) { Messages = Script.About(ContextContent.FromFile(path)) }.RunAsync(Token);

        Assert.Equal(Convert.ToHexStringLower(Encoding.UTF8.GetBytes(text)), result.Text);
        Assert.Equal("odd.txt", Assert.Single(result.Trajectory.Contexts).Name);
        Assert.Empty(result.Trajectory.Notes);
    }

    [Fact]
    public async Task FileThatIsNotUtf8_IsNotedOnTheTrajectory()
    {
        var path = Write("latin1.txt", [(byte)'a', 0xE4, (byte)'b', 0xFF, (byte)'c']);

        var result = await new Plan(Script.Answer("ascii(context)")) { Messages = Script.About(ContextContent.FromFile(path)) }.RunAsync(Token);

        Assert.Equal("'a\\ufffdb\\ufffdc'", result.Text);
        Assert.Equal("latin1.txt: 2 byte sequences are not UTF-8 and were replaced by U+FFFD.", Assert.Single(result.Trajectory.Notes));
    }

    [Fact]
    public async Task HalfCharactersInAText_AreNotedOnTheTrajectory()
    {
        var result = await new Plan(Script.Answer("ascii(context)")) { Messages = Script.About("a\ud800b") }.RunAsync(Token);

        Assert.Equal("'a\\ufffdb'", result.Text);
        Assert.Equal("context_0: 1 lone surrogates, which UTF-8 cannot hold, were replaced by U+FFFD.", Assert.Single(result.Trajectory.Notes));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stream_IsReadFromWhereItStandsAndAgainWhenTheReplDied(bool seekable)
    {
        // The two runs of the plan read the one stream too.
        using var stream = new OneWayStream(Encoding.UTF8.GetBytes("skipped|the rest"), seekable);
        stream.ReadExactly(new byte[8]);

        var result = await new Plan(Script.Code("import os\nos._exit(3)"), Script.Answer("context"))
        {
            Messages = Script.About(ContextContent.FromStream(stream, name: "the stream")),
        }.RunAsync(Token);

        Assert.Equal("the rest", result.Text);
        Assert.Equal(CellStatus.Died, result.Cells[0].Status);
        Assert.Equal(new ContextRecord("context_0", "the stream", "str", 8, 8), Assert.Single(result.Trajectory.Contexts));
        Assert.False(stream.IsDisposed);
    }

    [Fact]
    public async Task StreamShownToManyRequestsAtOnce_IsWholeInEach()
    {
        using var stream = new OneWayStream(Encoding.UTF8.GetBytes(new string('z', 1_000_000)), seekable: true);
        var messages = Script.About(ContextContent.FromStream(stream));
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("len(context)")));

        var responses = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => client.GetResponseAsync(messages, cancellationToken: Token)));

        Assert.All(responses, response => Assert.Equal("1000000", response.Text));
    }

    [Theory]
    [InlineData(ContextFormat.Json, "{\"a\": ")]
    [InlineData(ContextFormat.JsonLines, "{\"a\": 1}\nnot json\n")]
    public async Task InvalidJson_IsToldWithTheContextsName(ContextFormat format, string text)
    {
        using var sandbox = new RecordingSandbox();
        var path = Write("orders.json", Encoding.UTF8.GetBytes(text));
        var model = new ScriptedChatClient(Script.Answer("1"));
        using var client = Plan.Client(model, options => options.Sandbox = sandbox);

        var error = await Assert.ThrowsAsync<InvalidDataException>(() => client.GetResponseAsync(Script.About(ContextContent.FromFile(path, format)), cancellationToken: Token));

        Assert.Contains("'orders.json' could not be loaded", error.Message, StringComparison.Ordinal);
        Assert.Contains("JSONDecodeError", error.Message, StringComparison.Ordinal);
        Assert.Equal(StopReason.Failed, error.GetTrajectory()?.StopReason);
        Assert.Empty(model.Requests);
        await sandbox.AssertNothingLeftAsync(Token);
    }

    [Fact]
    public async Task NullDocument_IsToldByItsIndex()
    {
        using var client = Plan.Client(new ScriptedChatClient(Script.Answer("1")));

        var error = await Assert.ThrowsAsync<InvalidDataException>(
            () => client.GetResponseAsync(Script.About(ContextContent.FromDocuments(["a", null!])), cancellationToken: Token));

        Assert.Contains("Document 1 is null", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task JsonWithTheWholeRangeOfValues_ArrivesAsPythonReadsIt()
    {
        using var json = JsonDocument.Parse("""{"i": 12345678901234567890123, "f": 1.5, "t": true, "n": null, "s": "é\u0000\uD83D\uDE00", "l": [[]]}""");

        var result = await new Plan(Script.Answer("ascii(context)")) { Messages = Script.About(ContextContent.FromJson(json.RootElement)) }.RunAsync(Token);

        Assert.Equal("{'i': 12345678901234567890123, 'f': 1.5, 't': True, 'n': None, 's': '\\xe9\\x00\\U0001f600', 'l': [[]]}", result.Text);
    }

    private string Write(string name, ReadOnlySpan<byte> bytes)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private sealed class OneWayStream(byte[] bytes, bool seekable) : MemoryStream(bytes)
    {
        public bool IsDisposed { get; private set; }

        public override bool CanSeek => seekable;

        public override long Position
        {
            get => seekable ? base.Position : throw new NotSupportedException();
            set => base.Position = seekable ? value : throw new NotSupportedException();
        }

        public override long Length => seekable ? base.Length : throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            IsDisposed = true;
            base.Dispose(disposing);
        }
    }
}
