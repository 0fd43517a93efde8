using Microsoft.Extensions.DependencyInjection;

namespace DeepRecall.Hosting;

/// <summary>A registration that goes on.</summary>
internal sealed class DeepRecallBuilder(IServiceCollection services, DeepRecallInstance instance) : IDeepRecallBuilder
{
    public IServiceCollection Services => services;

    public string Name => instance.Name;

    public DeepRecallInstance Instance => instance;
}
