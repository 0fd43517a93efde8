using DeepRecall.Sandboxes.Docker;
using Docker.DotNet;
using Docker.DotNet.Models;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>The engine that build/engines.sh started for the tests. Without it a test is skipped, and says why.</summary>
internal static class TestEngine
{
    public const string MarkLabel = "test-mark";

    /// <summary>The Docker engine.</summary>
    public static string Docker => Needed("DEEPRECALL_TEST_DOCKER_HOST", "DEEPRECALL_TEST_DOCKER_SKIP", "no Docker engine was started for the tests");

    /// <summary>Podman's service, which speaks the same API.</summary>
    public static string Podman => Needed("DEEPRECALL_TEST_PODMAN_HOST", "DEEPRECALL_TEST_PODMAN_SKIP", "no Podman service was started for the tests");

    /// <summary>gVisor, as the Docker engine knows it.</summary>
    public static string Runtime => Needed("DEEPRECALL_TEST_DOCKER_RUNTIME", "DEEPRECALL_TEST_DOCKER_SKIP", "the engine has no gVisor");

    public static string Image => Environment.GetEnvironmentVariable("DEEPRECALL_TEST_DOCKER_IMAGE") ?? new DockerSandboxOptions().Image;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The default options with the test engine's image, and a mark by which the test's containers are known.</summary>
    public static DockerSandboxOptions Options(string mark, string? endpoint = null) => new()
    {
        Endpoint = endpoint ?? Docker,
        Image = Image,
        PullPolicy = DockerPullPolicy.Never,
        Labels = { [MarkLabel] = mark },
    };

    public static DockerClient Client(string? endpoint = null) => new DockerClientBuilder().WithEndpoint(new Uri(endpoint ?? Docker)).Build();

    /// <summary>The containers of a test, whatever their state.</summary>
    public static async Task<IList<ContainerListResponse>> ContainersAsync(string mark, string? endpoint = null)
    {
        using var client = Client(endpoint);
        return await client.Containers.ListContainersAsync(
            new ContainersListParameters
            {
                All = true,
                Filters = new Dictionary<string, IDictionary<string, bool>> { ["label"] = new Dictionary<string, bool> { [$"{MarkLabel}={mark}"] = true } },
            },
            Token);
    }

    /// <summary>Fails unless the containers of a test are gone, or go soon.</summary>
    public static async Task AssertNothingLeftAsync(string mark, string? endpoint = null)
    {
        if (string.IsNullOrEmpty(endpoint ?? Environment.GetEnvironmentVariable("DEEPRECALL_TEST_DOCKER_HOST")))
        {
            return; // the test was skipped
        }

        var left = await ContainersAsync(mark, endpoint);
        for (var attempt = 0; left.Count > 0 && attempt < 100; attempt++)
        {
            await Task.Delay(100, Token);
            left = await ContainersAsync(mark, endpoint);
        }

        Assert.True(left.Count == 0, $"left: {string.Join(", ", left.Select(container => $"{container.Names[0]} ({container.Status})"))}");
    }

    private static string Needed(string variable, string reasonVariable, string reason)
    {
        var value = Environment.GetEnvironmentVariable(variable);
        Assert.SkipWhen(string.IsNullOrEmpty(value), Environment.GetEnvironmentVariable(reasonVariable) ?? $"{reason} (build/test.sh does)");
        return value!;
    }
}
