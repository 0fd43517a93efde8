using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using DeepRecall.Backends;
using DeepRecall.Sandboxes.Daytona;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxes.E2B;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxes.Modal;
using DeepRecall.Sandboxes.Prime;
using DeepRecall.Sandboxing;

namespace DeepRecall.Tests.Configuration;

/// <summary>Writes the JSON schema of the section from the options' types and their documentation.</summary>
internal static partial class SchemaWriter
{
    private static readonly (string Name, Type Type)[] Environments =
    [
        (EnvironmentNames.Local, typeof(LocalSandboxOptions)),
        (EnvironmentNames.Docker, typeof(DockerSandboxOptions)),
        (EnvironmentNames.Modal, typeof(ModalSandboxOptions)),
        (EnvironmentNames.E2B, typeof(E2BSandboxOptions)),
        (EnvironmentNames.Daytona, typeof(DaytonaSandboxOptions)),
        (EnvironmentNames.Prime, typeof(PrimeSandboxOptions)),
    ];

    private static readonly Dictionary<string, XElement> Documentation = Directory.EnumerateFiles(AppContext.BaseDirectory, "DeepRecall.*.xml")
        .SelectMany(file => XDocument.Load(file).Descendants("member"))
        .GroupBy(member => (string)member.Attribute("name")!)
        .ToDictionary(members => members.Key, members => members.First());

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Write()
    {
        var definitions = new JsonObject
        {
            ["backend"] = Members(typeof(BackendOptions)),
            ["pricing"] = Members(typeof(BackendPricing)),
            ["pool"] = Members(typeof(SandboxPoolOptions)),
        };
        foreach (var (name, type) in Environments)
        {
            var members = Members(type);
            var properties = members["properties"]!.AsObject();
            properties.Insert(0, "Provider", Member(typeof(EnvironmentOptions).GetProperty(nameof(EnvironmentOptions.Provider))!));
            properties.Insert(1, "Pool", Member(typeof(EnvironmentOptions).GetProperty(nameof(EnvironmentOptions.Pool))!));
            definitions[name] = members;
        }

        return new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { ["DeepRecall"] = Members(typeof(DeepRecallServiceOptions)) },
            ["definitions"] = definitions,
        }.ToJsonString(Indented).ReplaceLineEndings("\n") + "\n";
    }

    private static JsonObject Members(Type type)
    {
        var properties = new JsonObject();
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance).OrderBy(property => property.MetadataToken).OrderByDescending(property => property.DeclaringType == type))
        {
            if (Member(property) is { } member)
            {
                properties[property.Name] = member;
            }
        }

        return new JsonObject { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = false };
    }

    private static JsonObject? Member(PropertyInfo property)
    {
        var schema = property.Name == nameof(DeepRecallServiceOptions.Environments) ? EnvironmentEntries() : Of(property.PropertyType);
        if (schema is not null && Summary(property) is { Length: > 0 } summary)
        {
            schema["description"] = summary;
        }

        return schema;
    }

    private static JsonObject? Of(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            var schema = Of(underlying);
            if (schema?["type"] is JsonValue only)
            {
                schema["type"] = new JsonArray(only.DeepClone(), "null");
            }

            return schema;
        }

        return type switch
        {
            _ when type == typeof(string) => Type("string"),
            _ when type == typeof(bool) => Type("boolean"),
            _ when type == typeof(int) || type == typeof(long) => Type("integer"),
            _ when type == typeof(double) || type == typeof(float) || type == typeof(decimal) => Type("number"),
            _ when type == typeof(TimeSpan) => new JsonObject { ["type"] = "string", ["pattern"] = @"^-?(\d+\.)?\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,7})?)?$" },
            { IsEnum: true } => type.IsDefined(typeof(FlagsAttribute)) ? Type("string") : new JsonObject { ["enum"] = new JsonArray([.. Enum.GetNames(type).Select(name => JsonValue.Create(name))]), ["type"] = "string" },
            _ when type == typeof(IList<string>) || type == typeof(ISet<string>) => new JsonObject { ["type"] = "array", ["items"] = Type("string") },
            _ when type == typeof(IDictionary<string, string>) || type == typeof(IDictionary<int, string>) => new JsonObject { ["type"] = "object", ["additionalProperties"] = Type("string") },
            _ when type == typeof(IDictionary<string, BackendOptions>) => new JsonObject { ["type"] = "object", ["additionalProperties"] = Reference("backend") },
            _ when type == typeof(BackendPricing) => Reference("pricing"),
            _ when type == typeof(SandboxPoolOptions) => Reference("pool"),
            _ => null, // only code can set it
        };
    }

    private static JsonObject EnvironmentEntries()
    {
        var properties = new JsonObject();
        foreach (var (name, _) in Environments)
        {
            properties[name] = Reference(name);
        }

        return new JsonObject
        {
            ["type"] = "object",
            ["properties"] = properties,
            ["additionalProperties"] = new JsonObject { ["anyOf"] = new JsonArray([.. Environments.Select(environment => Reference(environment.Name))]) },
        };
    }

    private static JsonObject Type(string name) => new() { ["type"] = name };

    private static JsonObject Reference(string definition) => new() { ["$ref"] = $"#/definitions/{definition}" };

    private static string? Summary(PropertyInfo property)
    {
        if (!Documentation.TryGetValue($"P:{property.DeclaringType!.FullName}.{property.Name}", out var member) || member.Element("summary") is not { } summary)
        {
            return null;
        }

        foreach (var reference in summary.Descendants().Where(element => element.Name.LocalName is "see" or "paramref").ToArray())
        {
            var text = (string?)reference.Attribute("langword") ?? (string?)reference.Attribute("cref") ?? (string?)reference.Attribute("name") ?? reference.Value;
            reference.ReplaceWith(new XText(text.Split('(')[0].Split('.', ':')[^1]));
        }

        var words = Spaces().Replace(summary.Value, " ").Trim();
        words = Opening().Replace(words, string.Empty);
        return words.Length == 0 ? words : char.ToUpperInvariant(words[0]) + words[1..];
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex("^Gets (or sets )?(a value indicating )?")]
    private static partial Regex Opening();
}
