using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace DeepRecall.Configuration;

/// <summary>The JSON schema of the section (<c>ConfigurationSchema.json</c>), and what in a section is not in it.</summary>
internal static class SectionSchema
{
    private const string Resource = "ConfigurationSchema.json";

    private static readonly Lazy<JsonElement> Root = new(static () =>
    {
        using var stream = typeof(SectionSchema).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The resource {Resource} is missing.");
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.Clone();
    });

    /// <summary>Says which keys of a section are unknown, or hold a value where a section is needed, each with its path.</summary>
    public static IReadOnlyList<string> FindProblems(IConfigurationSection section)
    {
        List<string> problems = [];
        Check(section, Root.Value.GetProperty("properties").GetProperty("DeepRecall"), problems);
        return problems;
    }

    private static void Check(IConfigurationSection section, JsonElement schema, List<string> problems)
    {
        schema = Follow(schema);
        var children = section.GetChildren().ToArray();
        var isComposite = TypeIs(schema, "object") || TypeIs(schema, "array");
        if (children.Length == 0)
        {
            if (isComposite && !string.IsNullOrEmpty(section.Value))
            {
                problems.Add($"{section.Path} is '{section.Value}'; it must be {(TypeIs(schema, "array") ? "a list" : "a section")}.");
            }

            return;
        }

        if (!isComposite)
        {
            problems.Add($"{section.Path} is a section; it must be a value.");
        }
        else if (TypeIs(schema, "array"))
        {
            CheckAll(children, _ => schema.GetProperty("items"), problems);
        }
        else if (schema.TryGetProperty("additionalProperties", out var others) && others.ValueKind == JsonValueKind.Object)
        {
            CheckAll(children, child => EntrySchema(child, schema, others), problems);
        }
        else
        {
            CheckMembers(section, children, schema.GetProperty("properties"), problems);
        }
    }

    private static void CheckAll(IEnumerable<IConfigurationSection> children, Func<IConfigurationSection, JsonElement?> schemaOf, List<string> problems)
    {
        foreach (var child in children)
        {
            if (schemaOf(child) is { } schema)
            {
                Check(child, schema, problems);
            }
        }
    }

    private static void CheckMembers(IConfigurationSection section, IEnumerable<IConfigurationSection> children, JsonElement properties, List<string> problems)
    {
        var known = properties.EnumerateObject().ToArray();
        foreach (var child in children)
        {
            var found = Array.Find(known, property => property.NameEquals(child.Key) || string.Equals(property.Name, child.Key, StringComparison.OrdinalIgnoreCase));
            if (found.Value.ValueKind == JsonValueKind.Object)
            {
                Check(child, found.Value, problems);
                continue;
            }

            var names = known.Select(property => property.Name).ToArray();
            problems.Add(NearestName.Find(child.Key, names) is { } nearest
                ? $"{child.Path} is no setting of {section.Path}; did you mean {nearest}?"
                : $"{child.Path} is no setting of {section.Path}; they are: {string.Join(", ", names)}.");
        }
    }

    // The entries of a dictionary are alike, but for environments: what an entry may hold depends on its provider, which is its key by default.
    private static JsonElement? EntrySchema(IConfigurationSection entry, JsonElement schema, JsonElement others)
    {
        if (!schema.TryGetProperty("properties", out var byProvider))
        {
            return others;
        }

        // An unknown provider is the validator's to tell: what it may hold cannot be known.
        return byProvider.TryGetProperty(entry["Provider"] ?? entry.Key, out var known) ? known
            : byProvider.TryGetProperty((entry["Provider"] ?? entry.Key).ToLowerInvariant(), out known) ? known
            : null;
    }

    private static JsonElement Follow(JsonElement schema)
    {
        if (!schema.TryGetProperty("$ref", out var reference))
        {
            return schema;
        }

        var name = reference.GetString()!;
        return Root.Value.GetProperty("definitions").GetProperty(name[(name.LastIndexOf('/') + 1)..]);
    }

    private static bool TypeIs(JsonElement schema, string type) =>
        schema.TryGetProperty("type", out var given)
        && (given.ValueKind == JsonValueKind.Array ? given.EnumerateArray().Any(one => one.ValueEquals(type)) : given.ValueEquals(type));
}
