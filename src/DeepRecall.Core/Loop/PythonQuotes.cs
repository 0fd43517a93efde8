namespace DeepRecall.Loop;

/// <summary>Follows Python's string literals from line to line, far enough to know whether a line begins inside one.</summary>
/// <remarks>The rules are those of the Python reference, "String and Bytes literals"; strings nested in f-string fields are read as strings of their own.</remarks>
internal sealed class PythonQuotes
{
    private char _quote;
    private bool _triple;

    /// <summary>Whether the next line begins inside a string.</summary>
    public bool InString => _quote != default;

    public void Take(string line)
    {
        for (var index = 0; index < line.Length; index++)
        {
            var letter = line[index];
            if (_quote != default)
            {
                if (letter == '\\')
                {
                    if (index + 1 == line.Length && !_triple)
                    {
                        return; // the string goes on in the next line
                    }

                    index++;
                }
                else if (letter == _quote && (!_triple || IsTriple(line, index)))
                {
                    index += _triple ? 2 : 0;
                    _quote = default;
                }
            }
            else if (letter == '#')
            {
                return;
            }
            else if (letter is '"' or '\'')
            {
                _quote = letter;
                _triple = IsTriple(line, index);
                index += _triple ? 2 : 0;
            }
        }

        if (!_triple)
        {
            _quote = default; // a plain string ends with its line, if only as a syntax error
        }
    }

    private static bool IsTriple(string line, int index) =>
        index + 2 < line.Length && line[index + 1] == line[index] && line[index + 2] == line[index];
}
