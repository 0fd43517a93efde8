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

    private protected Task<TestRepl> StartAsync(params AIContent[] contexts) => TestRepl.StartAsync(CreateSandbox(), contexts);

    private Task<TestRepl> StartAsync(ReplSettings settings, params AIContent[] contexts) =>
        TestRepl.StartAsync(CreateSandbox(), settings, contexts: contexts);

    private Task<TestRepl> StartAsync(Func<CallParams, CancellationToken, Task<HostReply>> host, TimeSpan? cellTimeout = null) =>
        TestRepl.StartAsync(CreateSandbox(), TestRepl.Settings with { CellTimeout = cellTimeout ?? TestRepl.Settings.CellTimeout }, host);
}
