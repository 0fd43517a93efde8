using System.Collections.Concurrent;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxing;
using Docker.DotNet.Models;
using Microsoft.Extensions.Logging.Testing;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>Images that come from a registry.</summary>
public sealed class DockerPullTests : IAsyncDisposable
{
    private readonly string _mark = Guid.NewGuid().ToString("N");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await TestEngine.AssertNothingLeftAsync(_mark);

    [Fact]
    public async Task ImageThatIsMissing_IsPulledOnceForAllWhoWait()
    {
        using var client = TestEngine.Client();
        await using var registry = await RegistryEmulator.StartAsync(TestEngine.Image);
        var progress = new Messages();
        var logger = new FakeLogger<DockerSandbox>();
        var options = TestEngine.Options(_mark);
        options.Image = registry.NameOf(_mark);
        options.PullPolicy = DockerPullPolicy.Missing;
        var sandbox = new DockerSandbox(options, logger, progress);
        try
        {
            Assert.False((await sandbox.CheckHealthAsync(Token)).ImageIsThere);

            // Who does not wait for it does not stop it.
            using (var impatient = new CancellationTokenSource(1))
            {
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => TestRepl.StartAsync(new Impatient(sandbox, impatient.Token)));
            }

            var said = await Task.WhenAll(Enumerable.Range(0, 3).Select(async number =>
            {
                await using var repl = await TestRepl.StartAsync(sandbox);
                return await repl.PrintAsync($"print({number})");
            }));
            Assert.Equal(["0\n", "1\n", "2\n"], said);
            Assert.True((await sandbox.CheckHealthAsync(Token)).ImageIsThere);
            Assert.Equal([$"Pulling the image {options.Image}.", $"Pulled the image {options.Image}."], logger.Collector.GetSnapshot().Select(record => record.Message));
            Assert.All(progress, message => Assert.Equal(options.Image, message.Image));
            Assert.Contains(progress, message => message is { Layer: not null, CurrentBytes: > 0, TotalBytes: > 1_000_000 });
            Assert.Contains(progress, message => message.Status.StartsWith("Status: Downloaded newer image", StringComparison.Ordinal));
        }
        finally
        {
            await client.Images.DeleteImageAsync(options.Image, new ImageDeleteParameters(), Token);
        }
    }

    [Fact]
    public async Task PullPolicyAlways_AsksTheRegistryBeforeTheFirstStartOnly()
    {
        using var client = TestEngine.Client();
        await using var registry = await RegistryEmulator.StartAsync(TestEngine.Image);
        var options = TestEngine.Options(_mark);
        options.Image = registry.NameOf(_mark);
        await client.Images.TagImageAsync(TestEngine.Image, new ImageTagParameters { RepositoryName = options.Image.Split(':' + _mark)[0], Tag = _mark }, Token);
        options.PullPolicy = DockerPullPolicy.Always;
        var progress = new Messages();
        var sandbox = new DockerSandbox(options, null, progress);
        try
        {
            await using (await TestRepl.StartAsync(sandbox))
            {
                Assert.NotEmpty(progress);
            }

            progress.Clear();
            await using (await TestRepl.StartAsync(sandbox))
            {
                Assert.Empty(progress);
            }
        }
        finally
        {
            await client.Images.DeleteImageAsync(options.Image, new ImageDeleteParameters(), Token);
        }
    }

    [Fact]
    public async Task ImageThatSomebodyRemoved_IsSaidToBeGoneAndPulledByTheNextStart()
    {
        using var client = TestEngine.Client();
        await using var registry = await RegistryEmulator.StartAsync(TestEngine.Image);
        var options = TestEngine.Options(_mark);
        options.Image = registry.NameOf(_mark);
        options.PullPolicy = DockerPullPolicy.Missing;
        var sandbox = new DockerSandbox(options);
        await using (await TestRepl.StartAsync(sandbox))
        {
        }

        await client.Images.DeleteImageAsync(options.Image, new ImageDeleteParameters(), Token);
        var error = await Assert.ThrowsAsync<SandboxException>(() => TestRepl.StartAsync(sandbox));
        Assert.Contains("is not there any more", error.Message, StringComparison.Ordinal);
        await using (var repl = await TestRepl.StartAsync(sandbox))
        {
            Assert.Equal("back\n", await repl.PrintAsync("print('back')"));
        }

        await client.Images.DeleteImageAsync(options.Image, new ImageDeleteParameters(), Token);
    }

    private sealed class Messages : ConcurrentQueue<DockerPullProgress>, IProgress<DockerPullProgress>
    {
        public void Report(DockerPullProgress value) => Enqueue(value);
    }

    /// <summary>A sandbox whose caller waits only so long.</summary>
    private sealed class Impatient(DockerSandbox inner, CancellationToken patience) : ISandbox
    {
        public string Name => inner.Name;

        public string Description => inner.Description;

        public Task<ISandboxProcess> StartAsync(SandboxStartRequest request, CancellationToken cancellationToken) => inner.StartAsync(request, patience);
    }
}
