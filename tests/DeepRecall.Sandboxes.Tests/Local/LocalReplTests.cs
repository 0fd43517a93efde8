using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Local;

/// <summary>The local environment without confinement, as it is where there is none.</summary>
public sealed class LocalReplTests : ReplBehaviours
{
    protected override ISandbox CreateSandbox() => new LocalSandbox(new LocalSandboxOptions { Isolation = LocalIsolation.None });
}
