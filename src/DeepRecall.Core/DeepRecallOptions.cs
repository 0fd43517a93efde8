using DeepRecall.Sandboxing;

namespace DeepRecall;

/// <summary>How a <see cref="DeepRecallChatClient"/> works.</summary>
/// <remarks>Read once, when the client is made; later changes have no effect.</remarks>
public sealed class DeepRecallOptions
{
    /// <summary>Gets or sets where the model's code runs. Required, unless the service provider has an <see cref="ISandbox"/>.</summary>
    public ISandbox? Sandbox { get; set; }

    /// <summary>
    /// Gets the models that code in the REPL can call. The first is the default; the others are asked for by name. When the list
    /// is empty, the wrapped client answers sub-calls too.
    /// </summary>
    public IList<SubClient> SubClients { get; } = [];

    /// <summary>
    /// Gets which of <see cref="SubClients"/> is the default at which depth: the key is the depth of the REPL that calls (0 for the
    /// root's), the value a sub-client's name. A depth without an entry has the first sub-client. Empty by default.
    /// </summary>
    public IDictionary<int, string> SubClientByDepth { get; } = new Dictionary<int, string>();

    /// <summary>Gets or sets how many turns (a reply of the model and the cells in it) a run may take before the model is asked to answer. Default 15, at least 1.</summary>
    public int MaxIterations { get; set; } = 15;

    /// <summary>
    /// Gets or sets how many levels of REPLs there may be. Default 1: only the root has one, and <c>rlm_query</c> is <c>llm_query</c>.
    /// With 2, <c>rlm_query</c> runs a child with a REPL of its own. At least 1.
    /// </summary>
    public int MaxDepth { get; set; } = 1;

    /// <summary>Gets or sets how many model calls a request may have in flight, over all depths together. Default 16, at least 1.</summary>
    public int MaxConcurrentSubcalls { get; set; } = 16;

    /// <summary>
    /// Gets or sets how long a cell may compute. Time that it waits for the host (sub-calls, tools) does not count. A cell that runs
    /// over is interrupted, and killed if that does not stop it. Default 120 seconds; <see cref="Timeout.InfiniteTimeSpan"/> for no limit.
    /// </summary>
    public TimeSpan CellTimeout { get; set; } = TimeSpan.FromSeconds(120);

    /// <summary>Gets or sets how long an interrupted cell has to stop before its REPL is killed. Default 2 seconds.</summary>
    public TimeSpan InterruptGracePeriod { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Gets or sets how long a sandbox may take to start. Default 60 seconds.</summary>
    public TimeSpan SandboxStartTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Gets or sets how many characters of a cell's output the model is shown: the head and the tail, with the number dropped between. Default 20,000, at least 200.</summary>
    public int MaxOutputChars { get; set; } = 20_000;

    /// <summary>Gets or sets which fenced blocks are code. Default <see cref="CodeFences.Repl"/> and <see cref="CodeFences.Python"/>.</summary>
    public CodeFences CodeFences { get; set; } = CodeFences.Repl | CodeFences.Python;

    /// <summary>
    /// Gets or sets a value indicating whether <c>FINAL(...)</c> and <c>FINAL_VAR(...)</c> as text on a line of their own, outside code,
    /// end the run, as models trained on older RLM harnesses write them. Default <see langword="true"/>.
    /// </summary>
    public bool AcceptFinalText { get; set; } = true;

    /// <summary>Says what is wrong with these options; empty when nothing is.</summary>
    internal IReadOnlyList<string> Validate()
    {
        List<string> problems = [];
        AtLeast(nameof(MaxIterations), MaxIterations, 1);
        AtLeast(nameof(MaxDepth), MaxDepth, 1);
        AtLeast(nameof(MaxConcurrentSubcalls), MaxConcurrentSubcalls, 1);
        AtLeast(nameof(MaxOutputChars), MaxOutputChars, 200);
        Positive(nameof(CellTimeout), CellTimeout, allowInfinite: true);
        Positive(nameof(InterruptGracePeriod), InterruptGracePeriod, allowInfinite: false);
        Positive(nameof(SandboxStartTimeout), SandboxStartTimeout, allowInfinite: true);
        if ((CodeFences & ~(CodeFences.Repl | CodeFences.Python | CodeFences.Untagged)) != 0)
        {
            problems.Add($"{nameof(CodeFences)} is {CodeFences}; it must be a combination of Repl, Python and Untagged.");
        }

        for (var index = 0; index < SubClients.Count; index++)
        {
            if (SubClients[index] is not { } client)
            {
                problems.Add($"{nameof(SubClients)}[{index}] is null.");
            }
            else if (SubClients.Take(index).Any(other => other is not null && string.Equals(other.Name, client.Name, StringComparison.Ordinal)))
            {
                problems.Add($"{nameof(SubClients)} has two entries named '{client.Name}'; names must differ.");
            }
        }

        foreach (var (depth, name) in SubClientByDepth)
        {
            if (depth < 0)
            {
                problems.Add($"{nameof(SubClientByDepth)} has an entry for depth {depth}; depths are 0 or more.");
            }

            if (!SubClients.Any(client => client is not null && string.Equals(client.Name, name, StringComparison.Ordinal)))
            {
                problems.Add($"{nameof(SubClientByDepth)}[{depth}] is '{name}', which is no sub-client; they are: {string.Join(", ", SubClients.Select(client => client?.Name))}.");
            }
        }

        return problems;

        void AtLeast(string name, int value, int least)
        {
            if (value < least)
            {
                problems.Add($"{name} is {value}; it must be {least} or more.");
            }
        }

        void Positive(string name, TimeSpan value, bool allowInfinite)
        {
            if (!(value > TimeSpan.Zero && value <= MaxTimer) && !(allowInfinite && value == Timeout.InfiniteTimeSpan))
            {
                problems.Add($"{name} is {value}; it must be more than zero and at most {MaxTimer.TotalDays:0} days{(allowInfinite ? ", or Timeout.InfiniteTimeSpan" : string.Empty)}.");
            }
        }
    }

    internal DeepRecallOptions Clone()
    {
        var copy = new DeepRecallOptions
        {
            Sandbox = Sandbox,
            MaxIterations = MaxIterations,
            MaxDepth = MaxDepth,
            MaxConcurrentSubcalls = MaxConcurrentSubcalls,
            CellTimeout = CellTimeout,
            InterruptGracePeriod = InterruptGracePeriod,
            SandboxStartTimeout = SandboxStartTimeout,
            MaxOutputChars = MaxOutputChars,
            CodeFences = CodeFences,
            AcceptFinalText = AcceptFinalText,
        };
        foreach (var client in SubClients)
        {
            copy.SubClients.Add(client);
        }

        foreach (var (depth, name) in SubClientByDepth)
        {
            copy.SubClientByDepth.Add(depth, name);
        }

        return copy;
    }

    // What timers of .NET can wait.
    private static readonly TimeSpan MaxTimer = TimeSpan.FromMilliseconds(int.MaxValue);
}
