using System.Diagnostics.CodeAnalysis;

namespace DeepRecall.Subcalls;

/// <summary>Finds the model for a sub-call: the first by default, another by its entry's name or its model's name.</summary>
internal sealed class SubClientRouter(IReadOnlyList<SubClient> clients)
{
    public IEnumerable<string> Names => clients.Select(client => client.Name);

    public bool TryFind(string? model, [NotNullWhen(true)] out SubClient? client, [NotNullWhen(false)] out string? problem)
    {
        client = string.IsNullOrWhiteSpace(model)
            ? clients[0]
            : clients.FirstOrDefault(candidate => string.Equals(candidate.Name, model, StringComparison.Ordinal))
                ?? clients.FirstOrDefault(candidate => string.Equals(candidate.ModelId, model, StringComparison.Ordinal));
        problem = client is null ? $"there is no model '{model}'; the models are: {string.Join(", ", Names)}" : null;
        return client is not null;
    }
}
