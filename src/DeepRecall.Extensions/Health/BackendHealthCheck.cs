using DeepRecall.Hosting;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace DeepRecall.Health;

/// <summary>Whether a backend's options are usable, and, when it is asked to, whether the model answers.</summary>
internal sealed class BackendHealthCheck(IServiceProvider services, string instance, string? backend, bool ping) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var name = backend;
        try
        {
            var own = services.GetRequiredKeyedService<InstanceServices>(instance);
            var options = own.Options;
            name ??= options.RootBackend;
            var client = name is null ? own.ResolveRoot(options) : own.ResolveBackend(name, nameof(options.Backend));

            // Asking for it makes the client, which is where options are read.
            var metadata = client.GetService<ChatClientMetadata>();
            if (ping)
            {
                await client.GetResponseAsync("ping", new ChatOptions { MaxOutputTokens = 16 }, cancellationToken).ConfigureAwait(false);
            }

            var data = new Dictionary<string, object> { ["backend"] = name ?? "(the application's)", ["pinged"] = ping };
            if (metadata is { ProviderName: { } provider })
            {
                data["provider"] = provider;
            }

            if (metadata is { DefaultModelId: { } model })
            {
                data["model"] = model;
            }

            return HealthCheckResult.Healthy(ping ? "The model answers." : "The options are usable.", data);
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, $"The backend {name} is not usable: {error.Message}", error);
        }
    }
}
