using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Daytona;

public sealed class DaytonaReplTests(DaytonaFixture daytona) : ReplBehaviours, IClassFixture<DaytonaFixture>
{
    protected override ISandbox CreateSandbox() => daytona.Sandbox;
}
