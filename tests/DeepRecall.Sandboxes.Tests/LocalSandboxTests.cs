using DeepRecall.Sandboxes.Local;

namespace DeepRecall.Sandboxes.Tests;

public sealed class LocalSandboxTests
{
    [Fact]
    public void BlankPythonPath_IsRefused()
    {
        var error = Assert.Throws<ArgumentException>(() => new LocalSandbox(new LocalSandboxOptions { PythonPath = " " }));
        Assert.Contains("LocalSandboxOptions.PythonPath", error.Message, StringComparison.Ordinal);
    }
}
