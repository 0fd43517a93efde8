using System.ClientModel;
using Microsoft.Extensions.AI;

namespace DeepRecall.Backends;

/// <summary>An LLM provider and a model of it: everything it takes to make a chat client.</summary>
/// <remarks>Nothing here is read before the client is made, environment variables included.</remarks>
public sealed class BackendOptions
{
    /// <summary>Gets or sets the entry's name, by which messages and the HTTP client (<c>DeepRecall.{name}</c>) call it. Default: the provider's.</summary>
    public string? Name { get; set; }

    /// <summary>Gets or sets the provider, one of <see cref="BackendNames"/>. Default: <see cref="Name"/>.</summary>
    public string? Provider { get; set; }

    /// <summary>Gets or sets the model: the provider's name for it, or a deployment's. Required.</summary>
    public string? ModelName { get; set; }

    /// <summary>
    /// Gets or sets the secret key. Default: the provider's environment variable (<c>OPENAI_API_KEY</c>, <c>ANTHROPIC_API_KEY</c>,
    /// <c>GEMINI_API_KEY</c> or <c>GOOGLE_API_KEY</c>, <c>AZURE_OPENAI_API_KEY</c>, <c>PORTKEY_API_KEY</c>, <c>OPENROUTER_API_KEY</c>,
    /// <c>AI_GATEWAY_API_KEY</c>, <c>LITELLM_API_KEY</c>, <c>VLLM_API_KEY</c>, <c>AZURE_INFERENCE_API_KEY</c>).
    /// </summary>
    public string? ApiKey { get; set; }

    /// <summary>
    /// Gets or sets the address of the API. Default: the provider's own; for <c>azure_openai</c>, <c>ollama</c> and <c>azure_inference</c>
    /// <c>AZURE_OPENAI_ENDPOINT</c>, <c>OLLAMA_HOST</c> (then <c>http://localhost:11434</c>) and <c>AZURE_INFERENCE_ENDPOINT</c>; <c>vllm</c> has none.
    /// </summary>
    public string? BaseUrl { get; set; }

    /// <summary>
    /// Gets or sets the <c>api-version</c> of Azure OpenAI (default <c>AZURE_OPENAI_API_VERSION</c>). With one, and an address that does not
    /// end in <c>/openai/v1</c>, the classic deployments' addresses are used.
    /// </summary>
    public string? ApiVersion { get; set; }

    /// <summary>Gets or sets Portkey's virtual key, for <c>portkey</c> and for <c>vercel</c> through Portkey.</summary>
    public string? VirtualKey { get; set; }

    /// <summary>Gets or sets OpenAI's organization.</summary>
    public string? Organization { get; set; }

    /// <summary>Gets headers that every request carries, for example OpenRouter's <c>HTTP-Referer</c>. They win over the headers of the SDK.</summary>
    public IDictionary<string, string> Headers { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>Gets or sets what gives tokens of Microsoft Entra ID, for <c>azure_openai</c> in place of a key; any <c>TokenCredential</c> is one.</summary>
    public AuthenticationTokenProvider? Credential { get; set; }

    /// <summary>
    /// Gets or sets how long an attempt may take: for a whole response until its last byte, for a stream until its first and from one
    /// piece to the next. Default 300 seconds. A run-out is a <see cref="TimeoutException"/>, and is not tried again.
    /// </summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(300);

    /// <summary>
    /// Gets or sets how often a request is tried again after 408, 429, a 5xx or a broken connection, each time after the wait that the
    /// provider asks for (<c>Retry-After</c>) or an exponential back-off. Default 3. A stream is never tried again once it has begun.
    /// </summary>
    public int MaxRetries { get; set; } = 3;

    /// <summary>Gets or sets the temperature of requests that set none. <c>anthropic</c> is not sent any: its API takes no temperature, top_p or seed.</summary>
    public float? Temperature { get; set; }

    /// <summary>Gets or sets top_p (nucleus sampling) of requests that set none.</summary>
    public float? TopP { get; set; }

    /// <summary>Gets or sets the most tokens of a reply, for requests that set none. <c>anthropic</c>, whose API demands one, has 8,192 by default.</summary>
    public int? MaxOutputTokens { get; set; }

    /// <summary>Gets or sets the seed of requests that set none.</summary>
    public long? Seed { get; set; }

    /// <summary>Gets or sets how much a reasoning model thinks, for requests that do not say.</summary>
    public ReasoningEffort? ReasoningEffort { get; set; }

    /// <summary>
    /// Gets or sets how many tokens a prompt and its reply may have together, for an RLM to summarise its conversation in time. Default
    /// <see langword="null"/>: by a table of known models.
    /// </summary>
    public int? ContextWindow { get; set; }

    /// <summary>Gets or sets what tokens cost, where the provider does not tell the cost of a response itself.</summary>
    public BackendPricing? Pricing { get; set; }

    /// <summary>Gets or sets the first wait of the back-off; it doubles from attempt to attempt.</summary>
    internal TimeSpan RetryBaseDelay { get; set; } = TimeSpan.FromMilliseconds(500);

    internal BackendOptions Clone()
    {
        var copy = new BackendOptions
        {
            Name = Name,
            Provider = Provider,
            ModelName = ModelName,
            ApiKey = ApiKey,
            BaseUrl = BaseUrl,
            ApiVersion = ApiVersion,
            VirtualKey = VirtualKey,
            Organization = Organization,
            Credential = Credential,
            Timeout = Timeout,
            MaxRetries = MaxRetries,
            Temperature = Temperature,
            TopP = TopP,
            MaxOutputTokens = MaxOutputTokens,
            Seed = Seed,
            ReasoningEffort = ReasoningEffort,
            ContextWindow = ContextWindow,
            Pricing = Pricing?.Clone(),
            RetryBaseDelay = RetryBaseDelay,
        };
        foreach (var (name, value) in Headers)
        {
            copy.Headers[name] = value;
        }

        return copy;
    }

    /// <summary>Names the entry, its provider and its model; never a key.</summary>
    public override string ToString() => $"{Name ?? Provider ?? "(unnamed)"} ({Provider ?? Name}, {ModelName ?? "no model"})";
}
