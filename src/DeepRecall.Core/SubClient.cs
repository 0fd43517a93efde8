using Microsoft.Extensions.AI;

namespace DeepRecall;

/// <summary>A model that code in the REPL can call, often a cheaper one than the root model.</summary>
public sealed class SubClient
{
    /// <summary>Initializes a new instance of the <see cref="SubClient"/> class.</summary>
    /// <param name="name">The name by which code asks for it: <c>llm_query(prompt, model="name")</c>.</param>
    /// <param name="client">The client; it must allow concurrent calls.</param>
    /// <param name="options">What every call sends, for example a model id or a temperature; copied before each use.</param>
    /// <exception cref="ArgumentException"><paramref name="name"/> is blank.</exception>
    public SubClient(string name, IChatClient client, ChatOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(client);
        Name = name;
        Client = client;
        Options = options;
    }

    /// <summary>Gets the name by which code asks for it.</summary>
    public string Name { get; }

    /// <summary>Gets the client.</summary>
    public IChatClient Client { get; }

    /// <summary>Gets what every call sends.</summary>
    public ChatOptions? Options { get; }

    /// <summary>Gets what is known of the model, such as its price. Default <see langword="null"/>: what the client tells as a service of type <see cref="ModelInfo"/>.</summary>
    public ModelInfo? Model { get; init; }

    /// <summary>Gets the model's own name, where the options or the client tell it; code may ask by this name too.</summary>
    internal string? ModelId => Options?.ModelId ?? Client.GetService<ChatClientMetadata>()?.DefaultModelId;

    internal ModelInfo Info => ModelInfo.Of(Model, Client);
}
