using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.E2B;

/// <summary>The behaviours of every environment, over E2B's protocols.</summary>
public sealed class E2BReplTests(E2BFixture fixture) : ReplBehaviours, IClassFixture<E2BFixture>
{
    protected override ISandbox CreateSandbox() => fixture.CreateSandbox();
}
