using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Prime;

/// <summary>The behaviours of every environment, through the files of a container of Prime Intellect.</summary>
public sealed class PrimeContainerReplTests(PrimeFixture fixture) : ReplBehaviours, IClassFixture<PrimeFixture>
{
    protected override ISandbox CreateSandbox() => fixture.CreateSandbox(options => options.Container = true);
}
