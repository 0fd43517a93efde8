using DeepRecall.Health;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Health checks of DeepRecall.</summary>
public static class DeepRecallHealthChecksBuilderExtensions
{
    /// <summary>Checks that a backend's options are usable, and with <paramref name="ping"/> that its model answers, which costs a few tokens each time.</summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="backend">The backend's name. Default: that of the root model.</param>
    /// <param name="ping">Whether the model is asked.</param>
    /// <param name="serviceKey">The key of the registration; <see langword="null"/> for the one without a key.</param>
    /// <param name="name">The check's name. Default <c>deeprecall_backend</c>, with the backend's name where one is given.</param>
    /// <param name="failureStatus">What a failure is reported as. Default: unhealthy.</param>
    /// <param name="tags">Tags, to choose checks by.</param>
    /// <param name="timeout">How long the check may take.</param>
    /// <returns>The health checks.</returns>
    public static IHealthChecksBuilder AddDeepRecallBackend(
        this IHealthChecksBuilder builder,
        string? backend = null,
        bool ping = false,
        string? serviceKey = null,
        string? name = null,
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null,
        TimeSpan? timeout = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new HealthCheckRegistration(
            name ?? Name("deeprecall_backend", backend, serviceKey),
            services => new BackendHealthCheck(services, serviceKey ?? string.Empty, backend, ping),
            failureStatus,
            tags,
            timeout));
    }

    /// <summary>
    /// Checks that an environment can start; isolation that is not complete is reported as degraded. For <c>docker</c> it also removes containers
    /// whose hosts died.
    /// </summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="environment">The environment's name. Default: the one that is in use.</param>
    /// <param name="serviceKey">The key of the registration; <see langword="null"/> for the one without a key.</param>
    /// <param name="name">The check's name. Default <c>deeprecall_sandbox</c>, with the environment's name where one is given.</param>
    /// <param name="failureStatus">What a failure is reported as. Default: unhealthy.</param>
    /// <param name="tags">Tags, to choose checks by.</param>
    /// <param name="timeout">How long the check may take.</param>
    /// <returns>The health checks.</returns>
    public static IHealthChecksBuilder AddDeepRecallSandbox(
        this IHealthChecksBuilder builder,
        string? environment = null,
        string? serviceKey = null,
        string? name = null,
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null,
        TimeSpan? timeout = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new HealthCheckRegistration(
            name ?? Name("deeprecall_sandbox", environment, serviceKey),
            services => new SandboxHealthCheck(services, serviceKey ?? string.Empty, environment),
            failureStatus,
            tags,
            timeout));
    }

    private static string Name(string check, string? entry, string? serviceKey) => string.Join('_', new[] { check, serviceKey, entry }.Where(part => part is not null));
}
