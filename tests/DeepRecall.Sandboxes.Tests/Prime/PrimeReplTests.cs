using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Prime;

/// <summary>The behaviours of every environment, over Prime Intellect's protocol for virtual machines.</summary>
public sealed class PrimeReplTests(PrimeFixture fixture) : ReplBehaviours, IClassFixture<PrimeFixture>
{
    protected override ISandbox CreateSandbox() => fixture.CreateSandbox();
}
