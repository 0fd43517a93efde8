using System.Collections.Frozen;

namespace DeepRecall.Backends;

/// <summary>What is peculiar to a provider: where its key and its address come from, and which family of APIs it speaks.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Family">The API that it speaks.</param>
/// <param name="KeyVariables">The environment variables that may hold its key, in the order in which they are looked at.</param>
/// <param name="KeyRequired">Whether it needs a key.</param>
/// <param name="DefaultBaseUrl">Its address, if it has one of its own.</param>
/// <param name="BaseUrlVariable">The environment variable that may hold its address.</param>
internal sealed record ProviderInfo(
    string Name,
    ProviderFamily Family,
    IReadOnlyList<string> KeyVariables,
    bool KeyRequired = true,
    string? DefaultBaseUrl = null,
    string? BaseUrlVariable = null)
{
    public const string PortkeyUrl = "https://api.portkey.ai/v1";
    public const string PortkeyKeyVariable = "PORTKEY_API_KEY";

    public static FrozenDictionary<string, ProviderInfo> All { get; } = new ProviderInfo[]
    {
        new(BackendNames.OpenAI, ProviderFamily.OpenAI, ["OPENAI_API_KEY"], DefaultBaseUrl: "https://api.openai.com/v1"),
        new(BackendNames.AzureOpenAI, ProviderFamily.OpenAI, ["AZURE_OPENAI_API_KEY"], BaseUrlVariable: "AZURE_OPENAI_ENDPOINT"),
        new(BackendNames.Portkey, ProviderFamily.OpenAI, [PortkeyKeyVariable], DefaultBaseUrl: PortkeyUrl),
        new(BackendNames.OpenRouter, ProviderFamily.OpenAI, ["OPENROUTER_API_KEY"], DefaultBaseUrl: "https://openrouter.ai/api/v1"),
        new(BackendNames.Vllm, ProviderFamily.OpenAI, ["VLLM_API_KEY"], KeyRequired: false),
        new(BackendNames.LiteLlm, ProviderFamily.OpenAI, ["LITELLM_API_KEY"], DefaultBaseUrl: "http://localhost:4000"),
        new(BackendNames.Vercel, ProviderFamily.OpenAI, ["AI_GATEWAY_API_KEY"], DefaultBaseUrl: "https://ai-gateway.vercel.sh/v1"),
        new(BackendNames.Anthropic, ProviderFamily.Anthropic, ["ANTHROPIC_API_KEY"], DefaultBaseUrl: "https://api.anthropic.com"),
        new(BackendNames.Gemini, ProviderFamily.Gemini, ["GEMINI_API_KEY", "GOOGLE_API_KEY"], DefaultBaseUrl: "https://generativelanguage.googleapis.com/v1beta"),
        new(BackendNames.Ollama, ProviderFamily.Ollama, [], KeyRequired: false, DefaultBaseUrl: "http://localhost:11434", BaseUrlVariable: "OLLAMA_HOST"),
        new(BackendNames.AzureInference, ProviderFamily.AzureInference, ["AZURE_INFERENCE_API_KEY"], BaseUrlVariable: "AZURE_INFERENCE_ENDPOINT"),
    }.ToFrozenDictionary(provider => provider.Name, StringComparer.Ordinal);
}

/// <summary>The APIs that there are.</summary>
internal enum ProviderFamily
{
    OpenAI,
    Anthropic,
    Gemini,
    Ollama,
    AzureInference,
}
