using DeepRecall.Repl;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.AI;

namespace DeepRecall.Sandboxes.Tests;

/// <summary>How a REPL behaves, in whatever environment: each derives from this and says how it starts.</summary>
public abstract partial class ReplBehaviours
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Makes the environment with its default options.</summary>
    protected abstract ISandbox CreateSandbox();

    /// <summary>How many times longer than elsewhere a message of this environment may be on its way; what is about time, or about many messages, goes by it.</summary>
    protected virtual int Slowness => 1;

    private protected Task<TestRepl> StartAsync(params AIContent[] contexts) => TestRepl.StartAsync(CreateSandbox(), contexts);

    private Task<TestRepl> StartAsync(ReplSettings settings, params AIContent[] contexts) =>
        TestRepl.StartAsync(CreateSandbox(), settings, contexts: contexts);

    private Task<TestRepl> StartAsync(Func<CallParams, CancellationToken, Task<HostReply>> host, TimeSpan? cellTimeout = null) =>
        TestRepl.StartAsync(CreateSandbox(), TestRepl.Settings with { CellTimeout = cellTimeout ?? TestRepl.Settings.CellTimeout }, host);
}
