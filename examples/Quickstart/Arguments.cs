using System.Globalization;

namespace Quickstart;

/// <summary>What the command line asks for.</summary>
internal sealed record Arguments
{
    public const string StandardInput = "-";

    public const string HelpText = """
        Asks a Recursive Language Model (RLM) a question about a text of any length.

        Usage: Quickstart [--context FILE|-] [QUESTION ...]
               Quickstart [--seed N]

          --context FILE|-   the text: a file, or - for standard input; it needs a question
          QUESTION           the question: all remaining words; without --context the question alone is sent
          --seed N           without a question: the sample log is made with this seed (a whole number, default 1)
          --                 what follows is the question, also where it begins with a dash
          --help             this text

        With no arguments a 10 MB sample log is made in a temporary file, asked about, and deleted.

        The model is chosen by the environment or by appsettings.json (section DeepRecall):
          OPENAI_API_KEY     with OPENAI_BASE_URL, OPENAI_MODEL (gpt-4o) and OPENAI_SUB_MODEL (gpt-4o-mini)
          ANTHROPIC_API_KEY  with ANTHROPIC_MODEL (claude-sonnet-4-20250514) and ANTHROPIC_SUB_MODEL (the same)
          GEMINI_API_KEY     with GEMINI_MODEL (gemini-2.5-flash) and GEMINI_SUB_MODEL (the same)
          OLLAMA_HOST        with OLLAMA_MODEL (llama3.1)
        With none of them a scripted model answers, offline.

        Exit codes: 0 answered, 1 failed, 2 bad arguments, 130 cancelled.

        """;

    private const string Allowed = "Allowed are --context FILE|-, --seed N, --help, and the words of a question.";

    public bool Help { get; private init; }

    /// <summary>Gets the context's file, <c>-</c> for standard input, or <see langword="null"/>.</summary>
    public string? Context { get; private init; }

    /// <summary>Gets the question; <see langword="null"/> means the sample log and its question.</summary>
    public string? Question { get; private init; }

    public int Seed { get; private init; } = 1;

    public static bool TryParse(IReadOnlyList<string> args, out Arguments arguments, out string problem)
    {
        arguments = new Arguments();
        problem = string.Empty;
        string? context = null;
        string? seed = null;
        for (var index = 0; index < args.Count; index++)
        {
            var (name, value) = Split(args[index]);
            switch (name)
            {
                case "--help" or "-h":
                    arguments = new Arguments { Help = true };
                    return true;
                case "--context" when context is not null:
                    problem = "--context is given twice; one file, or - for standard input, is allowed.";
                    return false;
                case "--context":
                    context = value ?? (++index < args.Count ? args[index] : string.Empty);
                    break;
                case "--seed":
                    seed = value ?? (++index < args.Count ? args[index] : string.Empty);
                    break;
                case not "--" when name.StartsWith('-'):
                    problem = $"'{name}' is not an option. {Allowed} Put -- before a question that begins with a dash.";
                    return false;
                default:
                    var question = string.Join(' ', args.Skip(name == "--" ? index + 1 : index)).Trim();
                    return TryMake(context, seed, question, out arguments, out problem);
            }
        }

        return TryMake(context, seed, null, out arguments, out problem);
    }

    private static bool TryMake(string? context, string? seed, string? question, out Arguments arguments, out string problem)
    {
        var number = 1;
        problem = context switch
        {
            "" => "--context needs a file, or - for standard input.",
            null or StandardInput => string.Empty,
            _ when Directory.Exists(context) => $"--context: '{context}' is a directory; a file, or - for standard input, is allowed.",
            _ when !File.Exists(context) => $"--context: there is no file '{context}'; an existing file, or - for standard input, is allowed.",
            _ => string.Empty,
        };
        if (problem.Length == 0 && question?.Length == 0)
        {
            problem = "QUESTION is blank; words are allowed.";
        }
        else if (problem.Length == 0 && context is not null && question is null)
        {
            problem = "--context needs a QUESTION after it: the words that ask about the text.";
        }
        else if (problem.Length == 0 && seed is not null && (context is not null || question is not null))
        {
            problem = "--seed is for the sample log; it is allowed only without --context and without a question.";
        }
        else if (problem.Length == 0 && seed is not null && !int.TryParse(seed, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number))
        {
            problem = $"--seed: '{seed}' is not allowed; a whole number from {int.MinValue} to {int.MaxValue} is.";
        }

        arguments = new Arguments { Context = context, Question = question, Seed = number };
        return problem.Length == 0;
    }

    private static (string Name, string? Value) Split(string argument)
    {
        var equals = argument.StartsWith("--", StringComparison.Ordinal) ? argument.IndexOf('=', StringComparison.Ordinal) : -1;
        return equals < 0 ? (argument, null) : (argument[..equals], argument[(equals + 1)..]);
    }
}
