using System.Diagnostics.CodeAnalysis;

namespace DeepRecall.Subcalls;

/// <summary>Finds the model for a sub-call: the depth's default, or another by its entry's name or its model's name.</summary>
internal sealed class SubClientRouter(IReadOnlyList<SubClient> clients, IDictionary<int, string> byDepth)
{
    public IEnumerable<string> Names => clients.Select(client => client.Name);

    /// <summary>The default's name for calls from a REPL at <paramref name="depth"/>.</summary>
    public string DefaultAt(int depth) => byDepth.TryGetValue(depth, out var name) ? name : clients[0].Name;

    public bool TryFind(string? model, int depth, [NotNullWhen(true)] out SubClient? client, [NotNullWhen(false)] out string? problem)
    {
        var wanted = string.IsNullOrWhiteSpace(model) ? DefaultAt(depth) : model;
        client = clients.FirstOrDefault(candidate => string.Equals(candidate.Name, wanted, StringComparison.Ordinal))
            ?? clients.FirstOrDefault(candidate => string.Equals(candidate.ModelId, wanted, StringComparison.Ordinal));
        problem = client is null ? $"there is no model '{model}'; the models are: {string.Join(", ", Names)}" : null;
        return client is not null;
    }
}
