namespace DeepRecall.Backends;

/// <summary>The names of the LLM providers, as they stand in configuration.</summary>
public static class BackendNames
{
    /// <summary>OpenAI's chat completions.</summary>
    public const string OpenAI = "openai";

    /// <summary>Azure OpenAI, in both shapes: the v1 API and the classic deployments with an <c>api-version</c>.</summary>
    public const string AzureOpenAI = "azure_openai";

    /// <summary>Anthropic's messages.</summary>
    public const string Anthropic = "anthropic";

    /// <summary>Google's Gemini, through <c>generateContent</c>.</summary>
    public const string Gemini = "gemini";

    /// <summary>The Portkey gateway.</summary>
    public const string Portkey = "portkey";

    /// <summary>The OpenRouter gateway.</summary>
    public const string OpenRouter = "openrouter";

    /// <summary>A vLLM server of one's own.</summary>
    public const string Vllm = "vllm";

    /// <summary>A LiteLLM proxy.</summary>
    public const string LiteLlm = "litellm";

    /// <summary>The Vercel AI Gateway; through Portkey when a virtual key, or only a Portkey key, is given.</summary>
    public const string Vercel = "vercel";

    /// <summary>An Ollama server.</summary>
    public const string Ollama = "ollama";

    /// <summary>
    /// Azure AI Inference. Legacy: Microsoft retired the service on 2026-08-26. To move on, use <see cref="AzureOpenAI"/> with
    /// <c>https://{resource}.openai.azure.com/openai/v1/</c> and the deployment's name.
    /// </summary>
    public const string AzureInference = "azure_inference";

    /// <summary>Gets all names.</summary>
    public static IReadOnlyList<string> All { get; } =
        [OpenAI, Anthropic, Gemini, AzureOpenAI, Portkey, OpenRouter, Vllm, LiteLlm, Vercel, Ollama, AzureInference];
}
