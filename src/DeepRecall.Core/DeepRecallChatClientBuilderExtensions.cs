using DeepRecall;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.AI;

/// <summary>Puts a Recursive Language Model (RLM) into a chat client pipeline.</summary>
public static class DeepRecallChatClientBuilderExtensions
{
    /// <summary>Makes of the client below a Recursive Language Model.</summary>
    /// <param name="builder">The pipeline.</param>
    /// <param name="configure">Sets the options. <see cref="DeepRecallOptions.Sandbox"/> may be left to the service provider's <see cref="ISandbox"/>.</param>
    /// <returns>The pipeline.</returns>
    /// <exception cref="InvalidOperationException">When the pipeline is built: there is no sandbox.</exception>
    /// <exception cref="ArgumentException">When the pipeline is built: an option is out of range.</exception>
    public static ChatClientBuilder UseDeepRecall(this ChatClientBuilder builder, Action<DeepRecallOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return builder.UseDeepRecall((_, options) => configure(options));
    }

    /// <summary>Makes of the client below a Recursive Language Model, with default options and the service provider's <see cref="ISandbox"/>.</summary>
    /// <param name="builder">The pipeline.</param>
    /// <returns>The pipeline.</returns>
    /// <exception cref="InvalidOperationException">When the pipeline is built: there is no sandbox.</exception>
    public static ChatClientBuilder UseDeepRecall(this ChatClientBuilder builder) => builder.UseDeepRecall((_, _) => { });

    /// <summary>Makes of the client below a Recursive Language Model, with options that need services, such as sub-clients.</summary>
    /// <param name="builder">The pipeline.</param>
    /// <param name="configure">Sets the options. <see cref="DeepRecallOptions.Sandbox"/> may be left to the service provider's <see cref="ISandbox"/>.</param>
    /// <returns>The pipeline.</returns>
    /// <exception cref="InvalidOperationException">When the pipeline is built: there is no sandbox.</exception>
    /// <exception cref="ArgumentException">When the pipeline is built: an option is out of range.</exception>
    public static ChatClientBuilder UseDeepRecall(this ChatClientBuilder builder, Action<IServiceProvider, DeepRecallOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        return builder.Use((innerClient, services) =>
        {
            var options = new DeepRecallOptions();
            configure(services, options);
            options.Sandbox ??= (ISandbox?)services.GetService(typeof(ISandbox))
                ?? throw new InvalidOperationException(
                    $"UseDeepRecall needs a sandbox for the model's code: set {nameof(DeepRecallOptions)}.{nameof(DeepRecallOptions.Sandbox)} (for example to a LocalSandbox), or register an {nameof(ISandbox)}.");
            return new DeepRecallChatClient(
                innerClient,
                options,
                (ILoggerFactory?)services.GetService(typeof(ILoggerFactory)),
                (TimeProvider?)services.GetService(typeof(TimeProvider)),
                services);
        });
    }
}
