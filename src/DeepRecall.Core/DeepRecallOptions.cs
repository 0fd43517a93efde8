using DeepRecall.Diagnostics;
using DeepRecall.Retrieval;
using DeepRecall.Sandboxing;
using DeepRecall.Sessions;

namespace DeepRecall;

/// <summary>How a <see cref="DeepRecallChatClient"/> works.</summary>
/// <remarks>Read once, when the client is made; later changes have no effect.</remarks>
public class DeepRecallOptions
{
    /// <summary>Gets or sets where the model's code runs. Required, unless the service provider has an <see cref="ISandbox"/>.</summary>
    public ISandbox? Sandbox { get; set; }

    /// <summary>
    /// Gets the models that code in the REPL can call. The first is the default; the others are asked for by name. When the list
    /// is empty, the wrapped client answers sub-calls too.
    /// </summary>
    public IList<SubClient> SubClients { get; private set; } = [];

    /// <summary>
    /// Gets which of <see cref="SubClients"/> is the default at which depth: the key is the depth of the REPL that calls (0 for the
    /// root's), the value a sub-client's name. A depth without an entry has the first sub-client. Empty by default.
    /// </summary>
    public IDictionary<int, string> SubClientByDepth { get; private set; } = new Dictionary<int, string>();

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
    /// Gets or sets how many tokens, input and output, all model calls of a request may take together, over all depths. Default
    /// <see langword="null"/>: no limit.
    /// </summary>
    /// <remarks>
    /// Before each call its worst case is reserved (the prompt by <see cref="CountTokens"/>, the reply by its most output tokens), and
    /// settled with the real usage after it, so that calls in parallel cannot pass the limit together. A call that does not fit is
    /// refused. A tenth of the limit, at most 9,000 tokens, is kept for asking for an answer at the end.
    /// </remarks>
    public long? MaxTokens { get; set; }

    /// <summary>
    /// Gets or sets how much all model calls of a request may cost together, in USD. Default <see langword="null"/>: no limit. It is
    /// kept as <see cref="MaxTokens"/> is, and needs the price of every model (<see cref="ModelInfo.Pricing"/>).
    /// </summary>
    public decimal? MaxCostUsd { get; set; }

    /// <summary>
    /// Gets or sets how long a request may take, everything included: model calls, cells, the start of a sandbox. Default
    /// <see langword="null"/>: no limit. The last fifth of it, at most 30 seconds, is kept for stopping what runs and asking for an answer.
    /// </summary>
    public TimeSpan? MaxDuration { get; set; }

    /// <summary>Gets or sets how many sub-calls, each prompt of a batch and each child run one, a request may make over all depths. Default <see langword="null"/>: no limit.</summary>
    public int? MaxSubcalls { get; set; }

    /// <summary>Gets or sets how many searches a request may make over all depths. Default <see langword="null"/>: no limit.</summary>
    public int? MaxSearchCalls { get; set; }

    /// <summary>
    /// Gets or sets after how many turns in a row in which a cell failed, or nothing was run, a run ends. Default
    /// <see langword="null"/>: no limit.
    /// </summary>
    public int? MaxConsecutiveErrors { get; set; }

    /// <summary>
    /// Gets or sets how many characters the prompt of a sub-model may have; a longer one is refused with a hint how to split it.
    /// Default 500,000, which is about what a model of 128,000 tokens reads; <see langword="null"/> for no limit.
    /// </summary>
    public int? MaxSubcallPromptChars { get; set; } = 500_000;

    /// <summary>Gets or sets what a request comes to when a limit ends it. Default <see cref="LimitBehavior.ReturnPartial"/>.</summary>
    public LimitBehavior OnLimit { get; set; }

    /// <summary>
    /// Gets or sets how the tokens of a prompt are counted for the reservations of <see cref="MaxTokens"/> and <see cref="MaxCostUsd"/>,
    /// for example by a tokenizer's own count. Default <see langword="null"/>: by the bytes of its UTF-8, which no byte-level tokenizer passes,
    /// and which is about four times what English text takes. What a call really took is always taken from the model's usage.
    /// </summary>
    public Func<string, int>? CountTokens { get; set; }

    /// <summary>
    /// Gets or sets the most output tokens of a call that sets none itself, while <see cref="MaxTokens"/> or <see cref="MaxCostUsd"/> holds:
    /// it is sent as <see cref="Microsoft.Extensions.AI.ChatOptions.MaxOutputTokens"/>, because a reply without a bound cannot be reserved. Default 8,192, at least 256.
    /// </summary>
    public int BudgetedOutputTokens { get; set; } = 8_192;

    /// <summary>
    /// Gets or sets what is known of the root model: its price and its context window. Default <see langword="null"/>: what the wrapped client
    /// tells as a service of type <see cref="ModelInfo"/>, and a table of known models' windows.
    /// </summary>
    public ModelInfo? Model { get; set; }

    /// <summary>
    /// Gets or sets at which part of the model's context window a run's conversation is summarised by the model and goes on from the
    /// summary. Default 0.85, more than 0 and at most 1; <see langword="null"/> turns it off.
    /// </summary>
    public double? CompactionThreshold { get; set; } = 0.85;

    /// <summary>
    /// Gets or sets a value indicating whether a conversation keeps its REPL from request to request: its contexts, its variables and its
    /// history. Default <see langword="false"/>. The response's <see cref="Microsoft.Extensions.AI.ChatResponse.ConversationId"/> goes into the next request's
    /// <see cref="Microsoft.Extensions.AI.ChatOptions.ConversationId"/>; ids of the caller's own are as good.
    /// </summary>
    public bool Persistent { get; set; }

    /// <summary>Gets or sets how long a conversation's REPL is kept after its last request. Default 10 minutes; used by the client's own store only.</summary>
    public TimeSpan SessionIdleTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Gets or sets how many conversations' REPLs are kept at a time. Default 100, at least 1; used by the client's own store only. One more
    /// ends the one that has been idle for longest, or waits for one to become idle.
    /// </summary>
    public int MaxSessions { get; set; } = 100;

    /// <summary>
    /// Gets or sets where conversations' REPLs are kept. Default <see langword="null"/>: a <see cref="SessionStore"/> of the client's own,
    /// which ends with it. A store that is given is not disposed by the client.
    /// </summary>
    public ISessionStore? SessionStore { get; set; }

    /// <summary>Gets or sets how often an answer that is not the JSON that was asked for is given back to the model, in one run. Default 3; 0 for never.</summary>
    public int MaxAnswerRepairs { get; set; } = 3;

    /// <summary>
    /// Gets or sets which of the caller's tools child runs have, by name. Default <see langword="null"/>: all of them; empty: none.
    /// </summary>
    public ISet<string>? ChildTools { get; set; }

    /// <summary>
    /// Gets the names of tools that need approval (<see cref="Microsoft.Extensions.AI.ApprovalRequiredAIFunction"/>) and are granted to code
    /// without asking. Empty by default: such a tool is refused, because code in a REPL cannot ask.
    /// </summary>
    public ISet<string> ApprovedTools { get; private set; } = new HashSet<string>(StringComparer.Ordinal);

    /// <summary>
    /// Gets or sets the vector database or other index behind <c>search_db</c>. Default <see langword="null"/>: there is no <c>search_db</c>.
    /// </summary>
    public ISearchSource? SearchSource { get; set; }

    /// <summary>
    /// Gets or sets below how many characters, over all messages, a request is handed to the wrapped client as it is, when it has no context,
    /// no tools and no search. Default <see langword="null"/>: every request is an RLM's. What the wrapped client is handed is under none of the limits here.
    /// </summary>
    public int? ShortPromptThreshold { get; set; }

    /// <summary>Gets or sets instructions that every run's model is given, before those of the request.</summary>
    public string? Instructions { get; set; }

    /// <summary>
    /// Gets or sets the system prompt in place of the built-in one. <c>{{environment}}</c>, <c>{{functions}}</c>, <c>{{tools}}</c>,
    /// <c>{{instructions}}</c>, <c>{{output_limit}}</c> and <c>{{max_turns}}</c> in it are filled in; all other braces stay as they are.
    /// </summary>
    public string? SystemPrompt { get; set; }

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

    /// <summary>
    /// Gets or sets a value indicating whether spans (<see cref="DeepRecallTelemetry"/>) tell what was asked, written, printed and answered, and the
    /// messages of errors, of each text its first 4,000 characters. Default <see langword="false"/>, or <see langword="true"/> when the environment
    /// variable <c>OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT</c> is <c>true</c>.
    /// </summary>
    public bool EnableSensitiveTelemetry { get; set; } = Telemetry.IsSensitiveByDefault;

    /// <summary>Says what is wrong with these options; empty when nothing is.</summary>
    internal IReadOnlyList<string> Validate() => DeepRecallOptionsValidator.Validate(this);

    internal DeepRecallOptions Clone()
    {
        var copy = (DeepRecallOptions)MemberwiseClone();
        copy.SubClients = [.. SubClients];
        copy.SubClientByDepth = new Dictionary<int, string>(SubClientByDepth);
        copy.ApprovedTools = new HashSet<string>(ApprovedTools, StringComparer.Ordinal);
        copy.ChildTools = ChildTools is null ? null : new HashSet<string>(ChildTools, StringComparer.Ordinal);
        return copy;
    }
}
