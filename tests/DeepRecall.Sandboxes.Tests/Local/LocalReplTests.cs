using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Local;

public sealed class LocalReplTests : ReplBehaviours
{
    protected override ISandbox CreateSandbox() => new LocalSandbox();
}
