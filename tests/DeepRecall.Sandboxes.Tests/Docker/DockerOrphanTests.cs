using System.Diagnostics;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxing;
using Docker.DotNet;
using Docker.DotNet.Models;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Images;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>Containers whose host is gone.</summary>
public sealed class DockerOrphanTests : IAsyncDisposable
{
    private readonly string _mark = Guid.NewGuid().ToString("N");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await TestEngine.AssertNothingLeftAsync(_mark);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ContainerOfAHostThatWasKilled_IsRemoved(bool byHealthCheck)
    {
        using var client = TestEngine.Client();
        using var host = Process.Start("sleep", "600");
        var orphan = await CreateAsync(client, DockerHostIdentity.Of(host.Id)!, "sleep", "600");
        await new DockerSandbox(TestEngine.Options(_mark)).CheckHealthAsync(Token);
        Assert.Equal("running", Assert.Single(await TestEngine.ContainersAsync(_mark), container => container.ID == orphan).State);

        host.Kill();
        await host.WaitForExitAsync(Token);
        var sandbox = new DockerSandbox(TestEngine.Options(_mark));
        if (byHealthCheck)
        {
            await sandbox.CheckHealthAsync(Token);
        }
        else
        {
            await using var process = await sandbox.StartAsync(new SandboxStartRequest { WorkerSource = "def main(nonce):\n    pass", Nonce = "x" }, Token);
        }

        await TestEngine.AssertNothingLeftAsync(_mark);
    }

    [Fact]
    public async Task ContainerOfAHostElsewhere_IsRemovedOnlyWhenItHasEnded()
    {
        using var client = TestEngine.Client();
        var running = await CreateAsync(client, "another-boot/4026531836/1/1", "sleep", "600");
        var ended = await CreateAsync(client, "another-boot/4026531836/1/1", "true");
        try
        {
            await client.Containers.WaitContainerAsync(ended, Token);
        }
        catch (DockerContainerNotFoundException)
        {
            // The first start of another test's sandbox has removed it already.
        }

        var sandbox = new DockerSandbox(TestEngine.Options(_mark));
        for (var attempt = 0; attempt < 50 && (await TestEngine.ContainersAsync(_mark)).Count > 1; attempt++)
        {
            await sandbox.CheckHealthAsync(Token);
        }

        Assert.Equal(running, Assert.Single(await TestEngine.ContainersAsync(_mark)).ID);
        await client.Containers.RemoveContainerAsync(running, new ContainerRemoveParameters { Force = true }, Token);
    }

    [Fact]
    public async Task ContainerOfSomebodyElse_IsLeftAlone()
    {
        var endpoint = new Uri(TestEngine.Docker);

        // The engine of a distribution may be older than the client's own version, and the image of the reaper is not to be had.
        Environment.SetEnvironmentVariable("DOCKER_API_VERSION", "1.41");
        TestcontainersSettings.ResourceReaperEnabled = false;
        await using var other = new ContainerBuilder(TestEngine.Image)
            .WithDockerEndpoint(endpoint)
            .WithImagePullPolicy(PullPolicy.Never)
            .WithLabel("deeprecall", "not a sandbox")
            .WithCommand("sleep", "600")
            .WithCreateParameterModifier(parameters => parameters.HostConfig!.NetworkMode = "none")
            .Build();
        await other.StartAsync(Token);
        await new DockerSandbox(TestEngine.Options(_mark)).CheckHealthAsync(Token);
        var result = await other.ExecAsync(["echo", "alive"], Token);
        Assert.Equal("alive\n", result.Stdout);
    }

    private async Task<string> CreateAsync(DockerClient client, string host, params string[] command)
    {
        var created = await client.Containers.CreateContainerAsync(
            new CreateContainerParameters
            {
                Image = TestEngine.Image,
                Cmd = command,
                Labels = new Dictionary<string, string> { [DockerContainer.HostLabel] = host, [TestEngine.MarkLabel] = _mark },
                HostConfig = new HostConfig { NetworkMode = "none" },
            },
            Token);
        await client.Containers.StartContainerAsync(created.ID, null, Token);
        return created.ID;
    }
}
