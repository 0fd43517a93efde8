using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Modal;

public sealed class ModalReplTests(ModalFixture modal) : ReplBehaviours, IClassFixture<ModalFixture>
{
    protected override ISandbox CreateSandbox() => modal.Sandbox;
}
