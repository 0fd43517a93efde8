using System.Collections.Frozen;
using System.Text;

namespace DeepRecall.Request;

/// <summary>Names as Python allows them.</summary>
internal static class PythonNames
{
    /// <summary>The names in the REPL that belong to DeepRecall.</summary>
    public static readonly FrozenSet<string> Reserved = FrozenSet.Create(
        StringComparer.Ordinal,
        "context", "history", "answer", "llm_query", "llm_query_batched", "rlm_query", "rlm_query_batched", "search_db", "SHOW_VARS", "FINAL", "FINAL_VAR");

    private static readonly FrozenSet<string> Keywords = FrozenSet.Create(
        StringComparer.Ordinal,
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global",
        "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield");

    public static bool IsKeyword(string name) => Keywords.Contains(name);

    public static bool IsReserved(string name) =>
        Reserved.Contains(name) || name.StartsWith("__", StringComparison.Ordinal) || IsNumbered(name, "context_") || IsNumbered(name, "history_");

    /// <summary>The nearest name that Python allows: <c>get-weather</c> becomes <c>get_weather</c>.</summary>
    public static string Of(string name)
    {
        var result = new StringBuilder(name.Length);
        foreach (var letter in name)
        {
            result.Append(char.IsAsciiLetterOrDigit(letter) || letter == '_' ? letter : '_');
        }

        if (result.Length == 0 || char.IsAsciiDigit(result[0]))
        {
            result.Insert(0, '_');
        }

        return result.ToString();
    }

    private static bool IsNumbered(string name, string prefix) =>
        name.StartsWith(prefix, StringComparison.Ordinal) && name.Length > prefix.Length && name.AsSpan(prefix.Length).IndexOfAnyExceptInRange('0', '9') < 0;
}
