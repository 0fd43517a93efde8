using System.Text.Json;
using Microsoft.Extensions.AI;

namespace DeepRecall.Request;

/// <summary>A long input for a Recursive Language Model: it becomes a Python variable in the REPL and never enters a prompt.</summary>
/// <remarks>
/// <para>
/// Put it into a user message beside the question. The first context of a request is <c>context</c> (and <c>context_0</c>) in
/// the REPL, further ones are <c>context_1</c>, <c>context_2</c> and so on. Files and streams are copied to the sandbox in
/// pieces and never held whole by the host. Contents may be used by many requests at the same time; one made of a stream reads
/// that stream, so the stream must stay open, and untouched, as long as requests use it.
/// </para>
/// <para>
/// A context is a plain <see cref="AIContent"/>, so that every cache and log that knows nothing of RLMs can serialise its message. What is
/// serialised is its identity, not its content: a cache outside the RLM tells two contexts apart, and answers again for the same text
/// (of up to 16 million characters) or the same unchanged file. A context that came back from JSON has no content any more.
/// </para>
/// </remarks>
public static class ContextContent
{
    /// <summary>The key of a context's identity in <see cref="AIContent.AdditionalProperties"/>.</summary>
    internal const string Key = "deeprecall.context";

    /// <summary>Makes a context of a text.</summary>
    /// <param name="text">The text. Lone surrogates, which UTF-8 cannot hold, arrive as U+FFFD, and the trajectory says so.</param>
    /// <param name="name">What to call it to the model, or <see langword="null"/>.</param>
    public static AIContent FromText(string text, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Of(new TextSource(text, ContextFormat.Text, name));
    }

    /// <summary>Makes a context of a file, read when a request uses it.</summary>
    /// <param name="path">The file's path.</param>
    /// <param name="format">What the file holds. Bytes that are not UTF-8 arrive as U+FFFD, and the trajectory says so.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentException"><paramref name="path"/> is blank or names a directory.</exception>
    public static AIContent FromFile(string path, ContextFormat format = ContextFormat.Text)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        var source = new FileSource(Path.GetFullPath(path), Defined(format));
        source.EnsureReadable();
        return Of(source);
    }

    /// <summary>Makes a context of a stream, read from where it stands when a request uses it.</summary>
    /// <param name="stream">
    /// A readable stream; it is not disposed. One that cannot seek is copied to a temporary file at its first use, because a
    /// REPL that died must be able to load it again.
    /// </param>
    /// <param name="format">What the stream holds.</param>
    /// <param name="name">What to call it to the model, or <see langword="null"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="stream"/> cannot be read.</exception>
    public static AIContent FromStream(Stream stream, ContextFormat format = ContextFormat.Text, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanRead)
        {
            throw new ArgumentException("The stream cannot be read.", nameof(stream));
        }

        return Of(new StreamSource(stream, Defined(format), name));
    }

    /// <summary>Makes a context of a JSON value: a <c>dict</c>, <c>list</c>, <c>str</c>, number, <c>bool</c> or <c>None</c> in the REPL.</summary>
    /// <param name="value">The value.</param>
    /// <param name="name">What to call it to the model, or <see langword="null"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="value"/> is undefined.</exception>
    public static AIContent FromJson(JsonElement value, string? name = null)
    {
        if (value.ValueKind == JsonValueKind.Undefined)
        {
            throw new ArgumentException("The JSON value is undefined.", nameof(value));
        }

        return Of(new TextSource(value.GetRawText(), ContextFormat.Json, name));
    }

    /// <summary>Makes a context of many documents: a list of <c>str</c> in the REPL.</summary>
    /// <param name="documents">The documents. They are enumerated when a request uses them, once more for every REPL that has to be started again.</param>
    /// <param name="name">What to call the list to the model, or <see langword="null"/>.</param>
    public static AIContent FromDocuments(IEnumerable<string> documents, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(documents);
        return Of(new DocumentsSource(documents, name));
    }

    private static AIContent Of(ContextSource source) => new()
    {
        RawRepresentation = source,
        AdditionalProperties = new() { [Key] = $"{source.Format} {source.Name}: {source.Identity}" },
    };

    private static ContextFormat Defined(ContextFormat format) =>
        Enum.IsDefined(format)
            ? format
            : throw new ArgumentOutOfRangeException(nameof(format), format, "The format is Text, Json or JsonLines.");
}
