using System.Text.RegularExpressions;

namespace Quickstart;

/// <summary>Reads the prompts of the scripts' sub-calls by keywords. It knows the prompt, and nothing of the log or of how it was made.</summary>
internal static partial class ScriptedReader
{
    private const string Nothing = "none";
    private const int MaxQuotes = 2;

    public static string Answer(string prompt) => WordsAndPassage().Match(prompt) is { Success: true } found
        ? Quote(found.Groups["words"].Value.Split(' '), found.Groups["passage"].Value)
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

    /// <summary>The sentences that hold the most of the words.</summary>
    private static string Quote(string[] words, string passage)
    {
        var sentences = SentenceEnd().Split(passage)
            .Select(sentence => sentence.Trim())
            .Select(sentence => (Text: sentence, Held: words.Count(word => Regex.IsMatch(sentence, $@"\b{Regex.Escape(word)}", RegexOptions.IgnoreCase))))
            .Where(sentence => sentence.Held > 0)
            .OrderByDescending(sentence => sentence.Held)
            .Take(MaxQuotes)
            .Select(sentence => sentence.Text);
        return OrNothing(string.Join('\n', sentences));
    }

    private static string OrNothing(string text) => text.Length > 0 ? text : Nothing;

    [GeneratedRegex(@"^Words that matter: (?<words>.+)\n\nPassage:\n(?<passage>[\s\S]*)$", RegexOptions.Multiline)]
    private static partial Regex WordsAndPassage();

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
}
