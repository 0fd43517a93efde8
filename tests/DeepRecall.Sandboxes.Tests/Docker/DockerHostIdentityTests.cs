using System.Diagnostics;
using DeepRecall.Sandboxes.Docker;

namespace DeepRecall.Sandboxes.Tests.Docker;

public sealed class DockerHostIdentityTests
{
    [Fact]
    public void ThisProcess_IsAlive()
    {
        Assert.Equal(DockerHostIdentity.State.Alive, DockerHostIdentity.StateOf(DockerHostIdentity.Current));
        Assert.Equal(DockerHostIdentity.Current, DockerHostIdentity.Of(Environment.ProcessId));
    }

    [Fact]
    public async Task AnotherProcess_IsAliveUntilItEnds()
    {
        using var process = Process.Start("sleep", "600");
        var identity = DockerHostIdentity.Of(process.Id)!;
        Assert.Equal(DockerHostIdentity.State.Alive, DockerHostIdentity.StateOf(identity));
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(DockerHostIdentity.State.Dead, DockerHostIdentity.StateOf(identity));
        Assert.Null(DockerHostIdentity.Of(process.Id));
    }

    [Fact]
    public void ProcessWithTheNumberOfAnother_IsNotTheOther()
    {
        var parts = DockerHostIdentity.Current.Split('/');
        parts[3] = "1";
        Assert.Equal(DockerHostIdentity.State.Dead, DockerHostIdentity.StateOf(string.Join('/', parts)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void ProcessOfAnotherMachineOrNamespace_IsUnknown(int part)
    {
        var parts = DockerHostIdentity.Current.Split('/');
        parts[part] = "elsewhere";
        Assert.Equal(DockerHostIdentity.State.Unknown, DockerHostIdentity.StateOf(string.Join('/', parts)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b/c")]
    [InlineData("not an identity at all")]
    public void WhatIsNoIdentity_IsUnknown(string identity) =>
        Assert.Equal(DockerHostIdentity.State.Unknown, DockerHostIdentity.StateOf(identity));
}
