using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Prime;

/// <summary>The behaviours of every environment, over the files and commands of Prime Intellect's containers.</summary>
public sealed class PrimeContainerReplTests(PrimeFixture fixture) : ReplBehaviours, IClassFixture<PrimeFixture>
{
    protected override int Slowness => 5;

    protected override ISandbox CreateSandbox() => fixture.CreateSandbox(options => options.Container = true);
}
