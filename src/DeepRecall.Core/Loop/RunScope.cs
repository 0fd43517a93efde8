using DeepRecall.Budgets;
using DeepRecall.Sandboxing;
using DeepRecall.Subcalls;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Loop;

/// <summary>What all runs of one request share, the root's and its children's.</summary>
internal sealed class RunScope
{
    private int _subcalls;

    public RunScope(DeepRecallOptions options, SubClientRouter router, ModelInfo rootModel, IRunSink sink, RunDeadline deadline, TimeProvider time, ILogger logger, IServiceProvider? services)
    {
        Options = options;
        Router = router;
        Sink = sink;
        Deadline = deadline;
        Time = time;
        Logger = logger;
        Services = services;
        Limiter = new SubcallLimiter(options.MaxConcurrentSubcalls, options.MaxDepth);
        Ledger = new BudgetLedger(options, rootModel.Pricing);
        Meter = new ModelMeter(options, Ledger, Limiter);
    }

    public DeepRecallOptions Options { get; }

    public ISandbox Sandbox => Options.Sandbox!;

    public SubClientRouter Router { get; }

    public SubcallLimiter Limiter { get; }

    public BudgetLedger Ledger { get; }

    public ModelMeter Meter { get; }

    public RunDeadline Deadline { get; }

    public IRunSink Sink { get; }

    public TimeProvider Time { get; }

    public ILogger Logger { get; }

    public IServiceProvider? Services { get; }

    public int NextSubcall() => Interlocked.Increment(ref _subcalls);
}
