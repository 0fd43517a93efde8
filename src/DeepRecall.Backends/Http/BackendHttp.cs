using DeepRecall.Backends.Ollama;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DeepRecall.Backends.Http;

/// <summary>The HTTP client of a backend: one layer of retries and time limits above the factory's handlers.</summary>
internal static class BackendHttp
{
    private static readonly Lazy<IHttpMessageHandlerFactory> OwnFactory = new(static () =>
        new ServiceCollection().AddHttpClient().BuildServiceProvider().GetRequiredService<IHttpMessageHandlerFactory>());

    public static string ClientName(string backend) => $"DeepRecall.{backend}";

    public static HttpClient CreateClient(BackendSettings settings, IServiceProvider? services)
    {
        var factory = services?.GetService<IHttpMessageHandlerFactory>() ?? OwnFactory.Value;
        var time = services?.GetService<TimeProvider>() ?? TimeProvider.System;
        var logger = services?.GetService<ILoggerFactory>()?.CreateLogger("DeepRecall.Backends") ?? (ILogger)NullLogger.Instance;
        if (services is not null)
        {
            SecretHeadersHandler.AddTo(services, ClientName(settings.Name));
        }

        HttpMessageHandler handler = new FactoryHandler(factory, ClientName(settings.Name));
        handler = new HeadersHandler(settings, handler);
        handler = new RetryHandler(settings, time, logger, handler);
        handler = settings.Provider.Family == ProviderFamily.Ollama ? new OllamaErrorHandler(handler) : handler;
        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Takes the factory's current handler for each request, so that connections and addresses are renewed as it means them to be.</summary>
    private sealed class FactoryHandler(IHttpMessageHandlerFactory factory, string name) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            SecretHeadersHandler.SendThroughAsync(factory.CreateHandler(name), request, cancellationToken);

        protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
            throw new NotSupportedException("Backends are called asynchronously.");
    }
}
