using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace DeepRecall.Answers;

/// <summary>Checks JSON against a JSON Schema (json-schema.org, draft 2020-12).</summary>
/// <remarks>
/// It knows the keywords that schemas of structured outputs use: types, enum and const, the bounds of numbers, strings, arrays and
/// objects, properties, items, allOf, anyOf, oneOf, not, if, and references within the schema. Other keywords, <c>format</c> among them, are
/// annotations, as the specification has it. Here because no validator on System.Text.Json that works ahead of time could be depended on.
/// </remarks>
internal sealed class JsonSchemaValidator
{
    private const int MaxProblems = 8;
    private const int MaxDepth = 200;

    // Alternatives within alternatives multiply, and a schema may come from model code.
    private const int MaxSteps = 2_000_000;
    private static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromMilliseconds(200);

    private readonly JsonElement _root;
    private readonly long _started = Stopwatch.GetTimestamp();
    private int _steps;

    private JsonSchemaValidator(JsonElement root) => _root = root;

    /// <summary>Says what is wrong with a value, with the place of each problem; <see langword="null"/> when nothing is.</summary>
    public static string? Validate(JsonElement schema, JsonElement value)
    {
        List<string> problems = [];
        new JsonSchemaValidator(schema).Check(schema, value, "$", problems, 0);
        return problems.Count == 0 ? null : string.Join("; ", problems.Take(MaxProblems));
    }

    private void Check(JsonElement schema, JsonElement value, string path, List<string> problems, int depth)
    {
        if (problems.Count >= MaxProblems)
        {
            return;
        }

        if (schema.ValueKind == JsonValueKind.False)
        {
            problems.Add($"{path} must not be there");
            return;
        }

        if (schema.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        if (depth > MaxDepth || IsSpent())
        {
            problems.Add($"{path} cannot be checked: the schema is nested too deeply, or takes too long");
            return;
        }

        if (schema.TryGetProperty("$ref", out var reference))
        {
            CheckReference(reference, value, path, problems, depth);
        }

        CheckType(schema, value, path, problems);
        CheckValues(schema, value, path, problems);
        CheckCombinations(schema, value, path, problems, depth);
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                CheckObject(schema, value, path, problems, depth);
                break;
            case JsonValueKind.Array:
                CheckArray(schema, value, path, problems, depth);
                break;
            case JsonValueKind.String:
                CheckString(schema, value.GetString()!, path, problems);
                break;
            case JsonValueKind.Number:
                CheckNumber(schema, value, path, problems);
                break;
        }
    }

    private bool IsSpent() => ++_steps > MaxSteps || Stopwatch.GetElapsedTime(_started) > MaxTime;

    private bool Fits(JsonElement schema, JsonElement value, string path, int depth)
    {
        List<string> problems = [];
        Check(schema, value, path, problems, depth + 1);
        return problems.Count == 0;
    }

    private void CheckReference(JsonElement reference, JsonElement value, string path, List<string> problems, int depth)
    {
        if (reference.ValueKind == JsonValueKind.String && TryResolve(reference.GetString()!, out var target))
        {
            Check(target, value, path, problems, depth + 1);
        }
        else
        {
            problems.Add($"the schema refers to {reference.GetRawText()}, which is not in it");
        }
    }

    // A JSON Pointer (RFC 6901) in a fragment; other references would have to be fetched.
    private bool TryResolve(string reference, out JsonElement target)
    {
        target = _root;
        if (reference == "#")
        {
            return true;
        }

        if (!reference.StartsWith("#/", StringComparison.Ordinal))
        {
            return false;
        }

        foreach (var part in Uri.UnescapeDataString(reference[2..]).Split('/'))
        {
            var name = part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (target.ValueKind == JsonValueKind.Object && target.TryGetProperty(name, out var next))
            {
                target = next;
            }
            else if (target.ValueKind == JsonValueKind.Array && int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < target.GetArrayLength())
            {
                target = target[index];
            }
            else
            {
                return false;
            }
        }

        return true;
    }

    private static void CheckType(JsonElement schema, JsonElement value, string path, List<string> problems)
    {
        if (!schema.TryGetProperty("type", out var type))
        {
            return;
        }

        var names = type.ValueKind == JsonValueKind.Array ? [.. type.EnumerateArray().Select(item => item.ToString())] : new[] { type.ToString() };
        if (!names.Any(name => Is(name, value)))
        {
            problems.Add($"{path} must be {string.Join(" or ", names)}, not {NameOf(value)}");
        }
    }

    private static bool Is(string type, JsonElement value) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "null" => value.ValueKind == JsonValueKind.Null,
        "number" => value.ValueKind == JsonValueKind.Number,
        "integer" => value.ValueKind == JsonValueKind.Number && IsInteger(value),
        _ => true,
    };

    // 1.0 is an integer too.
    private static bool IsInteger(JsonElement value) =>
        value.TryGetInt64(out _) || (value.TryGetDouble(out var number) && double.IsFinite(number) && Math.Floor(number) == number);

    private static string NameOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => "boolean",
        JsonValueKind.Number => IsInteger(value) ? "integer" : "number",
        _ => value.ValueKind.ToString().ToLowerInvariant(),
    };

    private static void CheckValues(JsonElement schema, JsonElement value, string path, List<string> problems)
    {
        if (schema.TryGetProperty("const", out var constant) && !JsonElement.DeepEquals(constant, value))
        {
            problems.Add($"{path} must be {constant.GetRawText()}");
        }

        if (schema.TryGetProperty("enum", out var values) && values.ValueKind == JsonValueKind.Array && !values.EnumerateArray().Any(allowed => JsonElement.DeepEquals(allowed, value)))
        {
            problems.Add($"{path} must be one of {values.GetRawText()}");
        }
    }

    private void CheckCombinations(JsonElement schema, JsonElement value, string path, List<string> problems, int depth)
    {
        foreach (var part in Items(schema, "allOf"))
        {
            Check(part, value, path, problems, depth + 1);
        }

        if (schema.TryGetProperty("anyOf", out _) && !Items(schema, "anyOf").Any(part => Fits(part, value, path, depth)))
        {
            AddClosest(Items(schema, "anyOf"), value, path, problems, depth);
        }

        if (schema.TryGetProperty("oneOf", out _))
        {
            var fitting = Items(schema, "oneOf").Count(part => Fits(part, value, path, depth));
            if (fitting == 0)
            {
                AddClosest(Items(schema, "oneOf"), value, path, problems, depth);
            }
            else if (fitting > 1)
            {
                problems.Add($"{path} fits {fitting} of the alternatives in oneOf, and must fit one");
            }
        }

        if (schema.TryGetProperty("not", out var not) && Fits(not, value, path, depth))
        {
            problems.Add($"{path} must not fit {not.GetRawText()}");
        }

        if (schema.TryGetProperty("if", out var condition)
            && schema.TryGetProperty(Fits(condition, value, path, depth) ? "then" : "else", out var consequence))
        {
            Check(consequence, value, path, problems, depth + 1);
        }
    }

    /// <summary>Of alternatives that all fail, tells the problems of the one that fails least.</summary>
    private void AddClosest(IEnumerable<JsonElement> alternatives, JsonElement value, string path, List<string> problems, int depth)
    {
        List<string>? least = null;
        foreach (var alternative in alternatives)
        {
            List<string> own = [];
            Check(alternative, value, path, own, depth + 1);
            least = least is null || own.Count < least.Count ? own : least;
        }

        problems.Add($"{path} fits none of the alternatives{(least is { Count: > 0 } ? $" (the closest: {string.Join(", ", least)})" : string.Empty)}");
    }

    private void CheckObject(JsonElement schema, JsonElement value, string path, List<string> problems, int depth)
    {
        foreach (var name in Items(schema, "required"))
        {
            if (name.ValueKind == JsonValueKind.String && !value.TryGetProperty(name.GetString()!, out _))
            {
                problems.Add($"{path} lacks the property \"{name.GetString()}\"");
            }
        }

        var properties = schema.TryGetProperty("properties", out var found) && found.ValueKind == JsonValueKind.Object ? found : default;
        var count = 0;
        foreach (var property in value.EnumerateObject())
        {
            count++;
            var at = $"{path}.{property.Name}";
            var known = properties.ValueKind == JsonValueKind.Object && properties.TryGetProperty(property.Name, out var own);
            if (known)
            {
                Check(properties.GetProperty(property.Name), property.Value, at, problems, depth + 1);
            }

            if (schema.TryGetProperty("patternProperties", out var patterns) && patterns.ValueKind == JsonValueKind.Object)
            {
                foreach (var pattern in patterns.EnumerateObject().Where(pattern => Matches(pattern.Name, property.Name)))
                {
                    known = true;
                    Check(pattern.Value, property.Value, at, problems, depth + 1);
                }
            }

            if (!known && schema.TryGetProperty("additionalProperties", out var additional))
            {
                if (additional.ValueKind == JsonValueKind.False)
                {
                    problems.Add($"{path} must not have the property \"{property.Name}\"");
                }
                else
                {
                    Check(additional, property.Value, at, problems, depth + 1);
                }
            }

            if (schema.TryGetProperty("propertyNames", out var names))
            {
                Check(names, JsonSerializer.SerializeToElement(property.Name, Repl.ProtocolJson.Default.String), $"{path} (the name \"{property.Name}\")", problems, depth + 1);
            }
        }

        CheckCount(schema, "minProperties", "maxProperties", count, "properties", path, problems);
    }

    private void CheckArray(JsonElement schema, JsonElement value, string path, List<string> problems, int depth)
    {
        var first = Items(schema, "prefixItems").ToArray();
        var index = 0;
        foreach (var item in value.EnumerateArray())
        {
            var at = $"{path}[{index}]";
            if (index < first.Length)
            {
                Check(first[index], item, at, problems, depth + 1);
            }
            else if (schema.TryGetProperty("items", out var items))
            {
                Check(items, item, at, problems, depth + 1);
            }

            index++;
        }

        if (schema.TryGetProperty("contains", out var contains) && !value.EnumerateArray().Any(item => Fits(contains, item, path, depth)))
        {
            problems.Add($"{path} has no item that fits {contains.GetRawText()}");
        }

        if (schema.TryGetProperty("uniqueItems", out var unique) && unique.ValueKind == JsonValueKind.True && HasTwins(value))
        {
            problems.Add($"{path} has the same item twice");
        }

        CheckCount(schema, "minItems", "maxItems", index, "items", path, problems);
    }

    private bool HasTwins(JsonElement array)
    {
        var items = array.EnumerateArray().ToArray();
        return items.Where((item, index) => items.Take(index).Any(other => IsSpent() || JsonElement.DeepEquals(item, other))).Any();
    }

    private static void CheckString(JsonElement schema, string value, string path, List<string> problems)
    {
        CheckCount(schema, "minLength", "maxLength", value.EnumerateRunes().Count(), "characters", path, problems);
        if (schema.TryGetProperty("pattern", out var pattern) && pattern.ValueKind == JsonValueKind.String && !Matches(pattern.GetString()!, value))
        {
            problems.Add($"{path} must match the pattern {pattern.GetRawText()}");
        }
    }

    private static bool Matches(string pattern, string value)
    {
        try
        {
            return Regex.IsMatch(value, pattern, RegexOptions.ECMAScript, PatternTimeout);
        }
        catch (RegexMatchTimeoutException)
        {
            return false;
        }
        catch (ArgumentException)
        {
            return true; // a pattern that this engine cannot take says nothing about the value
        }
    }

    private static void CheckNumber(JsonElement schema, JsonElement value, string path, List<string> problems)
    {
        Bound("minimum", (number, bound) => number >= bound, "at least");
        Bound("maximum", (number, bound) => number <= bound, "at most");
        Bound("exclusiveMinimum", (number, bound) => number > bound, "more than");
        Bound("exclusiveMaximum", (number, bound) => number < bound, "less than");
        Bound("multipleOf", (number, bound) => bound == 0 || number % bound == 0, "a multiple of");

        void Bound(string keyword, Func<decimal, decimal, bool> holds, string words)
        {
            if (schema.TryGetProperty(keyword, out var bound) && bound.ValueKind == JsonValueKind.Number
                && bound.TryGetDecimal(out var limit) && value.TryGetDecimal(out var number) && !holds(number, limit))
            {
                problems.Add($"{path} must be {words} {bound.GetRawText()}");
            }
        }
    }

    private static void CheckCount(JsonElement schema, string least, string most, int count, string what, string path, List<string> problems)
    {
        if (schema.TryGetProperty(least, out var minimum) && minimum.ValueKind == JsonValueKind.Number && count < minimum.GetDouble())
        {
            problems.Add($"{path} must have at least {minimum.GetRawText()} {what}, not {count}");
        }

        if (schema.TryGetProperty(most, out var maximum) && maximum.ValueKind == JsonValueKind.Number && count > maximum.GetDouble())
        {
            problems.Add($"{path} must have at most {maximum.GetRawText()} {what}, not {count}");
        }
    }

    private static JsonElement.ArrayEnumerator Items(JsonElement schema, string keyword) =>
        schema.TryGetProperty(keyword, out var list) && list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : default;
}
