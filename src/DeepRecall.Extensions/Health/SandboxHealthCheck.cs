using DeepRecall.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace DeepRecall.Health;

/// <summary>Whether an environment can start, and what isolates the code in it.</summary>
internal sealed class SandboxHealthCheck(IServiceProvider services, string instance, string? environment) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var name = environment;
        try
        {
            var own = services.GetRequiredKeyedService<InstanceServices>(instance);
            name ??= own.Options.Environment;
            var sandbox = environment is null && own.Options.Sandbox is { } given ? given : own.ResolveEnvironment(name);
            var isolation = await sandbox.GetIsolationAsync(cancellationToken).ConfigureAwait(false);
            var data = new Dictionary<string, object> { ["environment"] = sandbox.Name };
            foreach (var part in isolation?.Parts ?? [])
            {
                data[$"isolation.{part.Name}"] = $"{(part.IsHeld ? "held" : "missing")}: {part.Detail}";
            }

            return isolation switch
            {
                null => HealthCheckResult.Healthy("The environment does not tell what isolates it.", data),
                { IsComplete: true } => HealthCheckResult.Healthy($"Isolation {isolation}", data),
                _ => HealthCheckResult.Degraded($"Isolation {isolation}", data: data),
            };
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, $"The environment {name} is not usable: {error.Message}", error);
        }
    }
}
