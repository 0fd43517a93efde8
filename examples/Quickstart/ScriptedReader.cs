using System.Text.RegularExpressions;

namespace Quickstart;

/// <summary>Reads the prompts of the scripts' sub-calls by keywords. It knows the prompt, and nothing of the log or of how it was made.</summary>
internal static partial class ScriptedReader
{
    private const string Nothing = "none";
    private const int MaxQuotes = 2;

    public static string Answer(string prompt) => QuestionAndPassage().Match(prompt) is { Success: true } found
        ? Quote(found.Groups["question"].Value, found.Groups["passage"].Value)
        : Classify(prompt);

    /// <summary>For every numbered note that tells of a failed payment: its number and the cause that it gives.</summary>
    private static string Classify(string prompt)
    {
        var lines = NumberedNote().Matches(prompt)
            .Select(note => (Number: note.Groups["number"].Value, Text: note.Groups["text"].Value))
            .Where(note => Failure().IsMatch(note.Text) && !Harmless().IsMatch(note.Text))
            .Select(note => (note.Number, Cause: Cause().Match(note.Text)))
            .Where(note => note.Cause.Success)
            .Select(note => $"{note.Number} | {note.Cause.Groups["cause"].Value}");
        return OrNothing(string.Join('\n', lines));
    }

    /// <summary>The sentences that share the most words with the question.</summary>
    private static string Quote(string question, string passage)
    {
        var words = Words(question);
        var sentences = SentenceEnd().Split(passage)
            .Select(sentence => sentence.Trim())
            .Select(sentence => (Text: sentence, Shared: Words(sentence).Count(words.Contains)))
            .Where(sentence => sentence.Shared > 0)
            .OrderByDescending(sentence => sentence.Shared)
            .Take(MaxQuotes)
            .Select(sentence => sentence.Text);
        return OrNothing(string.Join('\n', sentences));
    }

    private static HashSet<string> Words(string text) =>
        LongWord().Matches(text).Select(word => word.Value).ToHashSet(StringComparer.OrdinalIgnoreCase);

    private static string OrNothing(string text) => text.Length > 0 ? text : Nothing;

    [GeneratedRegex(@"^Question: (?<question>.+)\n\nPassage:\n(?<passage>[\s\S]*)$", RegexOptions.Multiline)]
    private static partial Regex QuestionAndPassage();

    [GeneratedRegex(@"^(?<number>\d+)\. (?<text>.+)$", RegexOptions.Multiline)]
    private static partial Regex NumberedNote();

    [GeneratedRegex("could not take|bounced|turned down|came back|never went through|without paying|declined|rejected", RegexOptions.IgnoreCase)]
    private static partial Regex Failure();

    [GeneratedRegex("every payment|all orders|no payment|no customer|on purpose", RegexOptions.IgnoreCase)]
    private static partial Regex Harmless();

    [GeneratedRegex(@"(?:blamed |traced to |put it down to |can tell: )(?<cause>[^.]+)\.|, (?<cause>[^,.]+) caused it\.")]
    private static partial Regex Cause();

    [GeneratedRegex(@"(?<=[.!?])\s+|\n+")]
    private static partial Regex SentenceEnd();

    [GeneratedRegex(@"\w{4,}|\d+")]
    private static partial Regex LongWord();
}
