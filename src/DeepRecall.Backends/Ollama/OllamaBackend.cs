using Microsoft.Extensions.AI;
using OllamaSharp;

namespace DeepRecall.Backends.Ollama;

/// <summary>An Ollama server, through OllamaSharp.</summary>
internal static class OllamaBackend
{
    public static IChatClient Create(BackendSettings settings, HttpClient http)
    {
        http.BaseAddress = new Uri(settings.BaseUrl.GetLeftPart(UriPartial.Path).TrimEnd('/') + "/");
        if (settings.ApiKey is { } key)
        {
            http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        }

        return new OllamaApiClient(http, settings.Model);
    }
}
