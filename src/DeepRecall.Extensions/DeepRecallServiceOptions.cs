using DeepRecall.Backends;

namespace DeepRecall;

/// <summary>What <c>AddDeepRecall</c> is told: the models, the environments, and how a request works (<see cref="DeepRecallOptions"/>).</summary>
/// <remarks>
/// The section <c>DeepRecall</c> of the configuration has the same names. Options are read when the first request needs them; when they change,
/// the next request works by the new ones, and one that runs ends by those it began with.
/// </remarks>
public sealed class DeepRecallServiceOptions : DeepRecallOptions
{
    /// <summary>
    /// Gets or sets the root model: a key of <see cref="Backends"/>, or of an <c>IChatClient</c> that the application has registered. Default: the
    /// only entry of <see cref="Backends"/>; without one, the application's own <c>IChatClient</c> that has no key.
    /// </summary>
    public string? Backend { get; set; }

    /// <summary>
    /// Gets the models that code in the REPL can call, by their keys; the first is the default. They come before
    /// <see cref="DeepRecallOptions.SubClients"/>. When both are empty, the root model answers sub-calls too.
    /// </summary>
    public IList<string> OtherBackends { get; private set; } = [];

    /// <summary>
    /// Gets the models and how they are reached, by names of the application's own; each is an <c>IChatClient</c> service with that key. An entry
    /// that is not used is not looked at, and needs no key.
    /// </summary>
    public IDictionary<string, BackendOptions> Backends { get; private set; } = new Dictionary<string, BackendOptions>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// Gets or sets where code runs: a key of <see cref="Environments"/>, one of <see cref="EnvironmentNames"/>, or the key of an
    /// <see cref="Sandboxing.ISandbox"/> that the application has registered. Default <c>local</c>. <see cref="DeepRecallOptions.Sandbox"/> wins over it.
    /// </summary>
    public string Environment { get; set; } = EnvironmentNames.Local;

    /// <summary>
    /// Gets the environments and their options, by names of the application's own; each is an <see cref="Sandboxing.ISandbox"/> service with that key.
    /// </summary>
    public IDictionary<string, EnvironmentOptions> Environments { get; private set; } = new Dictionary<string, EnvironmentOptions>(StringComparer.OrdinalIgnoreCase);

    /// <summary>The name of the root model; <see langword="null"/> when it is the application's own client, or not said.</summary>
    internal string? RootBackend => Backend ?? (Backends.Count == 1 ? Backends.Keys.First() : null);

    /// <summary>The entry of a dictionary of these options, made when it is not there.</summary>
    internal static T Entry<T>(IDictionary<string, T> entries, string name)
        where T : new()
    {
        if (!entries.TryGetValue(name, out var entry))
        {
            entries[name] = entry = new T();
        }

        return entry;
    }
}
