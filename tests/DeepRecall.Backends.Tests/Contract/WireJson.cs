using System.Text.Json;
using System.Text.Json.Nodes;
using DeepRecall.Testing.Emulators;

namespace DeepRecall.Backends.Tests.Contract;

/// <summary>Compares bodies of requests whatever the order of their properties.</summary>
internal static class WireJson
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static void AssertEqual(string expected, string actual) => Assert.Equal(Canonical(expected), Canonical(actual));

    public static void AssertBody(string expected, EmulatedRequest request) => AssertEqual(expected, request.Body);

    public static string Canonical(string json) => Sort(JsonNode.Parse(json))!.ToJsonString(Indented);

    private static JsonNode? Sort(JsonNode? node) => node switch
    {
        JsonObject value => new JsonObject(value.OrderBy(property => property.Key, StringComparer.Ordinal).Select(property => KeyValuePair.Create(property.Key, Sort(property.Value)))),
        JsonArray value => new JsonArray([.. value.Select(Sort)]),
        _ => node?.DeepClone(),
    };
}
