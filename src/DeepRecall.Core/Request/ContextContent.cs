using System.Text.Json;
using Microsoft.Extensions.AI;

namespace DeepRecall.Request;

/// <summary>A long input for a Recursive Language Model: it becomes a Python variable in the REPL and never enters a prompt.</summary>
/// <remarks>
/// Put it into a user message beside the question. The first context of a request is <c>context</c> (and <c>context_0</c>) in
/// the REPL, further ones are <c>context_1</c>, <c>context_2</c> and so on. Files and streams are copied to the sandbox in
/// pieces and never held whole by the host. Instances are immutable and may be used by many requests at the same time; one made
/// of a stream reads that stream, so the stream must stay open, and untouched, as long as requests use it.
/// </remarks>
public sealed class ContextContent : AIContent
{
    private ContextContent(ContextSource source) => Source = source;

    /// <summary>Gets the name that the model is told, for example the file's name; <see langword="null"/> when there is none.</summary>
    public string? Name => Source.Name;

    /// <summary>Gets what the content is.</summary>
    public ContextFormat Format => Source.Format;

    internal ContextSource Source { get; }

    /// <summary>Makes a context of a text.</summary>
    /// <param name="text">The text. Lone surrogates, which UTF-8 cannot hold, arrive as U+FFFD, and the trajectory says so.</param>
    /// <param name="name">What to call it to the model, or <see langword="null"/>.</param>
    public static ContextContent FromText(string text, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new(new TextSource(text, ContextFormat.Text, name));
    }

    /// <summary>Makes a context of a file, read when a request uses it.</summary>
    /// <param name="path">The file's path.</param>
    /// <param name="format">What the file holds. Bytes that are not UTF-8 arrive as U+FFFD, and the trajectory says so.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentException"><paramref name="path"/> is blank or names a directory.</exception>
    public static ContextContent FromFile(string path, ContextFormat format = ContextFormat.Text)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        var source = new FileSource(Path.GetFullPath(path), Defined(format));
        source.EnsureReadable();
        return new(source);
    }

    /// <summary>Makes a context of a stream, read from where it stands when a request uses it.</summary>
    /// <param name="stream">
    /// A readable stream; it is not disposed. One that cannot seek is copied to a temporary file at its first use, because a
    /// REPL that died must be able to load it again.
    /// </param>
    /// <param name="format">What the stream holds.</param>
    /// <param name="name">What to call it to the model, or <see langword="null"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="stream"/> cannot be read.</exception>
    public static ContextContent FromStream(Stream stream, ContextFormat format = ContextFormat.Text, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanRead)
        {
            throw new ArgumentException("The stream cannot be read.", nameof(stream));
        }

        return new(new StreamSource(stream, Defined(format), name));
    }

    /// <summary>Makes a context of a JSON value: a <c>dict</c>, <c>list</c>, <c>str</c>, number, <c>bool</c> or <c>None</c> in the REPL.</summary>
    /// <param name="value">The value.</param>
    /// <param name="name">What to call it to the model, or <see langword="null"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="value"/> is undefined.</exception>
    public static ContextContent FromJson(JsonElement value, string? name = null)
    {
        if (value.ValueKind == JsonValueKind.Undefined)
        {
            throw new ArgumentException("The JSON value is undefined.", nameof(value));
        }

        return new(new TextSource(value.GetRawText(), ContextFormat.Json, name));
    }

    /// <summary>Makes a context of many documents: a list of <c>str</c> in the REPL.</summary>
    /// <param name="documents">The documents. They are enumerated when a request uses them, once more for every REPL that has to be started again.</param>
    /// <param name="name">What to call the list to the model, or <see langword="null"/>.</param>
    public static ContextContent FromDocuments(IEnumerable<string> documents, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(documents);
        return new(new DocumentsSource(documents, name));
    }

    private static ContextFormat Defined(ContextFormat format) =>
        Enum.IsDefined(format)
            ? format
            : throw new ArgumentOutOfRangeException(nameof(format), format, "The format is Text, Json or JsonLines.");
}
