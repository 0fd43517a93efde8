namespace DeepRecall.Sandboxes.Tests.Attacks;

/// <summary>How a cell that attacks is to end.</summary>
public enum AttackOutcome
{
    /// <summary>It runs to its end, and every attempt in it is refused.</summary>
    Ok,

    /// <summary>It ends with a <c>MemoryError</c>.</summary>
    MemoryError,

    /// <summary>Its process dies.</summary>
    Died,

    /// <summary>It may break its cell and the REPL that it runs in, but not stop them: a cell runs again as soon as the REPL is a fresh one.</summary>
    Any,
}

/// <summary>A program that attacks: a file of Programs/, whose first lines say what is expected of it.</summary>
internal sealed record AttackProgram(string Code, AttackOutcome Outcome, string? Says, bool HasControl)
{
    private const string Prefix = "attacks/";
    private const string Prelude = "prelude";

    public static IEnumerable<string> Names => typeof(AttackProgram).Assembly.GetManifestResourceNames()
        .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
        .Select(name => Path.GetFileNameWithoutExtension(name[Prefix.Length..]))
        .Where(name => name != Prelude)
        .Order(StringComparer.Ordinal);

    /// <summary>Reads a program.</summary>
    /// <param name="name">Its file's name, without the extension.</param>
    /// <param name="places">What it is to attack, as JSON.</param>
    public static AttackProgram Read(string name, string places)
    {
        var text = ReadText(name);
        var headers = text.Split('\n').TakeWhile(line => line.StartsWith("# ", StringComparison.Ordinal))
            .Select(line => line[2..].Split(": ", 2)).ToDictionary(parts => parts[0], parts => parts[1], StringComparer.Ordinal);
        return new AttackProgram(
            $"import json\nW = json.loads(r'''{places}''')\n{ReadText(Prelude)}\n{text}",
            headers.TryGetValue("outcome", out var outcome) ? Enum.Parse<AttackOutcome>(outcome) : AttackOutcome.Ok,
            headers.GetValueOrDefault("says"),
            headers.GetValueOrDefault("control") != "no");
    }

    private static string ReadText(string name)
    {
        using var reader = new StreamReader(typeof(AttackProgram).Assembly.GetManifestResourceStream($"{Prefix}{name}.py")!);
        return reader.ReadToEnd();
    }
}
