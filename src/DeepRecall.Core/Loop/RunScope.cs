using DeepRecall.Sandboxing;
using DeepRecall.Subcalls;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Loop;

/// <summary>What all runs of one request share, the root's and its children's.</summary>
internal sealed class RunScope(
    DeepRecallOptions options,
    ISandbox sandbox,
    SubClientRouter router,
    IRunSink sink,
    TimeProvider time,
    ILogger logger,
    IServiceProvider? services)
{
    private int _subcalls;

    public DeepRecallOptions Options { get; } = options;

    public ISandbox Sandbox { get; } = sandbox;

    public SubClientRouter Router { get; } = router;

    public SubcallLimiter Limiter { get; } = new(options.MaxConcurrentSubcalls, options.MaxDepth);

    public IRunSink Sink { get; } = sink;

    public TimeProvider Time { get; } = time;

    public ILogger Logger { get; } = logger;

    public IServiceProvider? Services { get; } = services;

    public int NextSubcall() => Interlocked.Increment(ref _subcalls);
}
