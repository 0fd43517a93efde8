using System.Text.Json;
using DeepRecall.Repl;
using Microsoft.Extensions.AI;

namespace DeepRecall.Request;

/// <summary>The caller's tools as Python functions.</summary>
internal sealed class ToolSet
{
    private readonly Dictionary<string, (AIFunction Function, Dictionary<string, string> Parameters)> _tools = new(StringComparer.Ordinal);

    private ToolSet(IReadOnlyList<ToolDeclaration> declarations) => Declarations = declarations;

    public static ToolSet Empty { get; } = new([]);

    public IReadOnlyList<ToolDeclaration> Declarations { get; }

    /// <summary>The tools that child runs have.</summary>
    /// <param name="granted">Their names, the caller's or Python's; <see langword="null"/> for all.</param>
    public ToolSet ForChildren(ISet<string>? granted)
    {
        if (granted is null)
        {
            return this;
        }

        var set = new ToolSet([.. Declarations.Where(tool => granted.Contains(tool.Name) || granted.Contains(_tools[tool.Name].Function.Name))]);
        foreach (var tool in set.Declarations)
        {
            set._tools.Add(tool.Name, _tools[tool.Name]);
        }

        return set;
    }

    /// <summary>Takes the tools of a request.</summary>
    /// <param name="tools">The tools.</param>
    /// <param name="approved">The names of those that need approval and have it.</param>
    /// <exception cref="ArgumentException">A tool cannot be a Python function; all problems are named.</exception>
    public static ToolSet From(IEnumerable<AITool>? tools, ISet<string> approved)
    {
        List<ToolDeclaration> declarations = [];
        List<string> problems = [];
        var set = new ToolSet(declarations);
        var index = -1;
        foreach (var tool in tools ?? [])
        {
            index++;
            if (tool is not AIFunction function)
            {
                problems.Add(tool is null
                    ? $"Tools[{index}] is null"
                    : $"'{tool.Name}' is a {tool.GetType().Name}; only an AIFunction can be called from the REPL");
                continue;
            }

            if (function.GetService<ApprovalRequiredAIFunction>() is not null && !approved.Contains(function.Name))
            {
                problems.Add($"'{function.Name}' needs approval, and code in the REPL cannot ask for it; name it in {nameof(DeepRecallOptions)}.{nameof(DeepRecallOptions.ApprovedTools)} to grant it");
                continue;
            }

            var name = PythonNames.Of(function.Name);
            if (PythonNames.IsReserved(name))
            {
                problems.Add($"'{function.Name}' is a name of the REPL itself ({string.Join(", ", PythonNames.Reserved.Order(StringComparer.Ordinal))}, context_N, history_N, __names)");
            }
            else if (PythonNames.IsKeyword(name))
            {
                problems.Add($"'{function.Name}' is a keyword of Python");
            }
            else if (set._tools.ContainsKey(name))
            {
                problems.Add($"'{function.Name}' is there twice, as the Python function {name}");
            }
            else
            {
                var (declaration, parameters) = Declare(name, function);
                declarations.Add(declaration);
                set._tools.Add(name, (function, parameters));
            }
        }

        return problems.Count == 0
            ? set
            : throw new ArgumentException($"ChatOptions.Tools cannot be used in the REPL: {string.Join("; ", problems)}.", nameof(tools));
    }

    /// <summary>Calls a tool; what it throws passes through.</summary>
    /// <exception cref="MissingMethodException">There is no such tool.</exception>
    public async Task<JsonElement> InvokeAsync(string name, JsonElement arguments, IServiceProvider? services, CancellationToken cancellationToken)
    {
        if (!_tools.TryGetValue(name, out var tool))
        {
            throw new MissingMethodException($"there is no function {name}");
        }

        var call = new AIFunctionArguments { Services = services };
        if (arguments.ValueKind == JsonValueKind.Object)
        {
            foreach (var argument in arguments.EnumerateObject())
            {
                call[tool.Parameters.GetValueOrDefault(argument.Name, argument.Name)] = argument.Value;
            }
        }

        var result = await tool.Function.InvokeAsync(call, cancellationToken).ConfigureAwait(false);
        return result switch
        {
            JsonElement element when element.ValueKind != JsonValueKind.Undefined => element,
            null or JsonElement => JsonSerializer.SerializeToElement(null, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(object))),
            _ => JsonSerializer.SerializeToElement(result, tool.Function.JsonSerializerOptions.GetTypeInfo(result.GetType())),
        };
    }

    private static (ToolDeclaration Declaration, Dictionary<string, string> Parameters) Declare(string name, AIFunction function)
    {
        List<ToolParameter> parameters = [];
        Dictionary<string, string> names = new(StringComparer.Ordinal);
        var schema = function.JsonSchema;
        if (schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("properties", out var properties) && properties.ValueKind == JsonValueKind.Object)
        {
            var required = schema.TryGetProperty("required", out var list) && list.ValueKind == JsonValueKind.Array
                ? list.EnumerateArray().Select(item => item.GetString()).ToHashSet(StringComparer.Ordinal)
                : [];
            foreach (var property in properties.EnumerateObject())
            {
                var parameter = PythonNames.Of(property.Name);
                if (PythonNames.IsKeyword(parameter) || names.ContainsKey(parameter))
                {
                    parameter += "_";
                }

                names[parameter] = property.Name;
                parameters.Add(new ToolParameter(parameter, TypeOf(property.Value), required.Contains(property.Name), DefaultOf(property.Value)));
            }
        }

        // Python wants parameters without a default first.
        return (new ToolDeclaration(name, function.Description, [.. parameters.OrderByDescending(parameter => parameter.Required)]), names);
    }

    private static string? TypeOf(JsonElement schema) =>
        schema.ValueKind != JsonValueKind.Object || !schema.TryGetProperty("type", out var type) ? null
        : type.ValueKind == JsonValueKind.String ? type.GetString()
        : type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().Select(item => item.GetString()).FirstOrDefault(item => item != "null")
        : null;

    private static JsonElement? DefaultOf(JsonElement schema) =>
        schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("default", out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
