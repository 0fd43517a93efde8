using Microsoft.Extensions.AI;

namespace DeepRecall.Hosting;

/// <summary>What the application puts around the models' clients, as named options.</summary>
internal sealed class PipelineSteps
{
    public IList<Action<IServiceProvider, ChatClientBuilder>> Main { get; } = [];

    public IList<Action<IServiceProvider, ChatClientBuilder>> Sub { get; } = [];

    /// <summary>A client with the steps around it; disposing it leaves the client itself, which is a service of its own.</summary>
    public static IChatClient Build(IChatClient client, IEnumerable<Action<IServiceProvider, ChatClientBuilder>> steps, IServiceProvider services)
    {
        var builder = new ChatClientBuilder(new SharedChatClient(client));
        foreach (var step in steps)
        {
            step(services, builder);
        }

        return builder.Build(services);
    }

    private sealed class SharedChatClient(IChatClient innerClient) : DelegatingChatClient(innerClient)
    {
        // Whoever made the client inside disposes it.
        protected override void Dispose(bool disposing) => base.Dispose(disposing: false);
    }
}
