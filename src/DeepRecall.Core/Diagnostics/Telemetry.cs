using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Reflection;
using DeepRecall.Budgets;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;
using static DeepRecall.Diagnostics.TelemetryNames;

namespace DeepRecall.Diagnostics;

/// <summary>The source of our spans, the meter, and what all spans and metrics have in common.</summary>
/// <remarks>Nothing is made for a span or a measurement that nobody listens to.</remarks>
internal static class Telemetry
{
    /// <summary>The variable that the conventions have for telling what was asked and answered.</summary>
    public const string SensitiveVariable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

    private static readonly string? Version = typeof(Telemetry).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0];

    private static readonly Meter Meter = new(DeepRecallTelemetry.MeterName, Version);

    private static readonly Histogram<double> RequestDuration = Meter.CreateHistogram(
        Metrics.RequestDuration, "s", "How long requests took.", advice: Buckets(0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560));

    private static readonly Counter<long> Turns = Meter.CreateCounter<long>(Metrics.Turns, "{turn}", "The turns of runs, children's included.");

    private static readonly Counter<long> Cells = Meter.CreateCounter<long>(Metrics.Cells, "{cell}", "The cells that were run.");

    private static readonly Histogram<double> CellDuration = Meter.CreateHistogram(
        Metrics.CellDuration, "s", "How long cells took, their waits for the host included.", advice: Buckets(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300));

    private static readonly Counter<long> Subcalls = Meter.CreateCounter<long>(Metrics.Subcalls, "{call}", "The calls of models, of children and of tools from code.");

    private static readonly Counter<long> Searches = Meter.CreateCounter<long>(Metrics.Searches, "{search}", "The searches from code.");

    private static readonly Histogram<long> TokenUsage = Meter.CreateHistogram(
        Metrics.TokenUsage, "{token}", "Measures number of input and output tokens used", advice: Buckets<long>(1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864));

    private static readonly Counter<long> Tokens = Meter.CreateCounter<long>(Metrics.Tokens, "{token}", "The tokens of all model calls.");

    private static readonly Counter<double> Cost = Meter.CreateCounter<double>(Metrics.Cost, "{USD}", "What the model calls cost whose price is known.");

    private static readonly Counter<long> SandboxStarts = Meter.CreateCounter<long>(Metrics.SandboxStarts, "{start}", "The REPLs that runs started, in a process of a pool or in one of their own.");

    private static readonly Histogram<double> SandboxStartDuration = Meter.CreateHistogram(
        Metrics.SandboxStartDuration, "s", "How long runs waited for a REPL to start.", advice: Buckets(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60));

    private static readonly UpDownCounter<long> PoolIdle = Meter.CreateUpDownCounter<long>(Metrics.PoolIdle, "{process}", "The idle processes that pools hold.");

    private static readonly Counter<long> PoolTakes = Meter.CreateCounter<long>(Metrics.PoolTakes, "{take}", "The requests to pools, by whether an idle process was there.");

    private static readonly Counter<long> Limits = Meter.CreateCounter<long>(Metrics.Limits, "{limit}", "How often a limit ended a run or refused a call.");

    /// <summary>The source of all spans.</summary>
    public static ActivitySource Source { get; } = new(DeepRecallTelemetry.SourceName, Version);

    /// <summary>Whether the environment says that spans tell what was asked and answered.</summary>
    public static bool IsSensitiveByDefault => SaysTrue(System.Environment.GetEnvironmentVariable(SensitiveVariable));

    public static bool SaysTrue(string? value) => string.Equals(value, "true", StringComparison.OrdinalIgnoreCase);

    /// <summary>What a failure is called; never its message, which may tell what was asked.</summary>
    public static string ErrorTypeOf(Exception error) =>
        error is LimitException limit ? NameOf(limit.Reason) : error.GetType().FullName ?? error.GetType().Name;

    public static string NameOf(StopReason reason) => Enum.GetName(reason) ?? Other;

    public static string NameOf(CellStatus status) => Enum.GetName(status) ?? Other;

    /// <summary>Marks a span as failed.</summary>
    /// <param name="span">The span, if there is one.</param>
    /// <param name="errorType">What the failure is called.</param>
    /// <param name="message">Its message, where it may be told.</param>
    public static void Fail(this Activity? span, string errorType, string? message = null)
    {
        span?.SetTag(GenAI.ErrorType, errorType);
        span?.SetStatus(ActivityStatusCode.Error, message);
    }

    public static void SetUsage(this Activity span, UsageDetails? usage)
    {
        if (usage is null)
        {
            return;
        }

        span.SetTag(GenAI.InputTokens, usage.InputTokenCount);
        span.SetTag(GenAI.OutputTokens, usage.OutputTokenCount);
        if (usage.GetCostUsd() is { } cost)
        {
            span.SetTag(Own.CostUsd, (double)cost);
        }
    }

    public static void RequestEnded(RlmTrajectory? trajectory, string? errorType)
    {
        if (trajectory is null || !RequestDuration.Enabled)
        {
            return;
        }

        TagList tags = default;
        tags.Add(Own.StopReason, NameOf(trajectory.StopReason));
        if (errorType is not null)
        {
            tags.Add(GenAI.ErrorType, errorType);
        }

        RequestDuration.Record(trajectory.Duration.TotalSeconds, tags);
    }

    public static void TurnEnded() => Turns.Add(1);

    public static void CellEnded(CellRecord cell)
    {
        if (Cells.Enabled || CellDuration.Enabled)
        {
            KeyValuePair<string, object?> status = new(Own.CellStatus, NameOf(cell.Status));
            Cells.Add(1, status);
            CellDuration.Record(cell.Duration.TotalSeconds, status);
        }
    }

    public static void SubcallEnded(string function, bool isError)
    {
        if (Subcalls.Enabled)
        {
            Subcalls.Add(1, new(Own.SubcallFunction, function), Outcome(isError));
        }
    }

    public static void SearchEnded(bool isError)
    {
        if (Searches.Enabled)
        {
            Searches.Add(1, Outcome(isError));
        }
    }

    /// <summary>Counts the tokens and the cost of a model call.</summary>
    public static void ModelCalled(IChatClient client, ChatOptions? options, ChatResponse? response, UsageDetails? usage)
    {
        if (usage is null || !(TokenUsage.Enabled || Tokens.Enabled || Cost.Enabled))
        {
            return;
        }

        var metadata = client.GetService<ChatClientMetadata>();
        KeyValuePair<string, object?> model = new(GenAI.RequestModel, options?.ModelId ?? metadata?.DefaultModelId);
        var isTold = client.HasTelemetry();
        Count(usage.InputTokenCount, "input");
        Count(usage.OutputTokenCount, "output");
        if (usage.GetCostUsd() is { } cost)
        {
            Cost.Add((double)cost, model);
        }

        void Count(long? tokens, string type)
        {
            if (tokens is not { } count)
            {
                return;
            }

            KeyValuePair<string, object?> tokenType = new(GenAI.TokenType, type);
            Tokens.Add(count, model, tokenType);
            if (!isTold)
            {
                TokenUsage.Record(
                    count,
                    new TagList(
                    [
                        model,
                        tokenType,
                        new(GenAI.OperationName, "chat"),
                        new(GenAI.ProviderName, metadata?.ProviderName),
                        new(GenAI.ResponseModel, response?.ModelId),
                    ]));
            }
        }
    }

    /// <summary>Whether a client tells of its calls itself, as Microsoft.Extensions.AI's OpenTelemetryChatClient does.</summary>
    public static bool HasTelemetry(this IChatClient client) => client.GetService<ActivitySource>() is not null;

    public static void SandboxStarted(string environment, TimeSpan duration, bool isError)
    {
        if (SandboxStarts.Enabled || SandboxStartDuration.Enabled)
        {
            KeyValuePair<string, object?> where = new(Own.Environment, environment);
            SandboxStarts.Add(1, where, Outcome(isError));
            SandboxStartDuration.Record(duration.TotalSeconds, where, Outcome(isError));
        }
    }

    public static void PoolIdleChanged(string environment, int by)
    {
        if (PoolIdle.Enabled)
        {
            PoolIdle.Add(by, new KeyValuePair<string, object?>(Own.Environment, environment));
        }
    }

    public static void PoolTaken(string environment, bool isHit)
    {
        if (PoolTakes.Enabled)
        {
            PoolTakes.Add(1, new(Own.Environment, environment), new(Own.PoolHit, isHit));
        }
    }

    /// <summary>Counts a limit that ended a run or refused a call.</summary>
    /// <param name="limit">The option's name, as far as it has one.</param>
    public static void LimitHit(string limit)
    {
        if (Limits.Enabled)
        {
            Limits.Add(1, new KeyValuePair<string, object?>(Own.Limit, limit));
        }
    }

    private static KeyValuePair<string, object?> Outcome(bool isError) => new(Own.Outcome, isError ? "error" : "ok");

    private static InstrumentAdvice<double> Buckets(params double[] boundaries) => Buckets<double>(boundaries);

    private static InstrumentAdvice<T> Buckets<T>(params T[] boundaries)
        where T : struct =>
        new() { HistogramBucketBoundaries = boundaries };
}
