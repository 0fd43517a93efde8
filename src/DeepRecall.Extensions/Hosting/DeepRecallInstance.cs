namespace DeepRecall.Hosting;

/// <summary>One registration of <c>AddDeepRecall</c>: the one without a key, or one with a key of its own.</summary>
internal sealed class DeepRecallInstance(string name)
{
    public const string DefaultClientKey = "deeprecall";

    private readonly HashSet<string> _bound = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The name of its options; empty for the one without a key.</summary>
    public string Name => name;

    /// <summary>The key of its client.</summary>
    public string ClientKey => name.Length == 0 ? DefaultClientKey : name;

    /// <summary>Where its options stand, for messages: a path of the configuration, or the type.</summary>
    public string Path { get; private set; } = nameof(DeepRecallServiceOptions);

    /// <summary>The key of the service that is an entry of its <c>Backends</c> or <c>Environments</c>.</summary>
    public string KeyOf(string entry) => name.Length == 0 ? entry : $"{name}:{entry}";

    /// <summary>Notes that a section is bound; <see langword="false"/> when it already was.</summary>
    public bool TryBind(string path)
    {
        Path = path;
        return _bound.Add(path);
    }
}
