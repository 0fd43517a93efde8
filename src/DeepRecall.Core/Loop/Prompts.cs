using System.Globalization;
using System.Text;
using DeepRecall.Repl;
using DeepRecall.Request;
using DeepRecall.Trajectory;
using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>The messages that begin a run. They never change afterwards, so that a provider can cache them.</summary>
internal static class Prompts
{
    private const string InstructionsToken = "{{instructions}}";

    private static readonly PromptTemplate System = PromptTemplate.Resource("system");
    private static readonly string LlmFunctions = Resources.Read("prompts/llm_functions.md").TrimEnd();
    private static readonly string RlmFunctions = Resources.Read("prompts/rlm_functions.md").TrimEnd();
    private static readonly string SearchFunctions = Resources.Read("prompts/search_functions.md").TrimEnd();

    public static ChatMessage SystemMessage(RunScope scope, RlmRequest request, int depth, bool hasChildren)
    {
        var models = scope.Router.Names.ToArray();
        var functions = hasChildren ? $"{LlmFunctions}\n{RlmFunctions}" : LlmFunctions;
        if (models.Length > 1)
        {
            functions += $"\n  `model` is one of: {string.Join(", ", models)}; {scope.Router.DefaultAt(depth)} is the default.";
        }

        if (scope.Options.SearchSource is not null)
        {
            functions += $"\n{SearchFunctions}";
        }

        return new ChatMessage(ChatRole.System, Template(scope.Options).Fill(new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["output_limit"] = scope.Options.MaxOutputChars.ToString("N0", CultureInfo.InvariantCulture),
            ["max_turns"] = scope.Options.MaxIterations.ToString(CultureInfo.InvariantCulture),
            ["environment"] = scope.Sandbox.Description,
            ["functions"] = functions,
            ["tools"] = Tools(request.Tools.Declarations),
            ["instructions"] = Instructions(scope.Options, request),
        }).TrimEnd());
    }

    private static PromptTemplate Template(DeepRecallOptions options) =>
        options.SystemPrompt is not { } own ? System
        : own.Contains(InstructionsToken, StringComparison.Ordinal) ? new PromptTemplate(own)
        : new PromptTemplate($"{own}\n{InstructionsToken}"); // what the caller demands of the answer is not lost

    private static string Instructions(DeepRecallOptions options, RlmRequest request)
    {
        var text = new StringBuilder();
        Add("Instructions of the caller", string.Join("\n\n", new[] { options.Instructions, request.Instructions }.Where(part => !string.IsNullOrWhiteSpace(part))));
        Add("The answer's form", request.Answer.Describe());
        return text.ToString();

        void Add(string title, string part)
        {
            if (part.Length > 0)
            {
                text.Append("\n## ").Append(title).Append('\n').Append(part);
            }
        }
    }

    /// <summary>The first user message: what there is, the question, and the first turn's marker.</summary>
    public static ChatMessage FirstMessage(RlmRequest request, ReplSession repl, ReplTenancy tenancy, int maxTurns)
    {
        var text = new StringBuilder();
        foreach (var context in repl.Contexts)
        {
            text.Append("- `").Append(context.Variable).Append('`');
            if (context.Variable == repl.CurrentContext)
            {
                text.Append(" (also `context`)");
            }

            text.Append(": ").Append(context.Type);
            text.Append(CultureInfo.InvariantCulture, $", {context.Length:N0} {(context.Type == "str" ? "characters" : "entries")}");
            if (context.Type != "str")
            {
                text.Append(CultureInfo.InvariantCulture, $" ({context.Characters:N0} characters of JSON)");
            }

            text.Append(context.Name is null ? "\n" : $": {context.Name}\n");
        }

        if (tenancy.HistoryCount > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"- `history`: list, the {tenancy.HistoryCount:N0} earlier messages of this conversation\n");
        }

        AddConversation(text, tenancy);

        text.Append("\nQuestion:\n").Append(Excerpt.HeadAndTail(request.Question, RequestMapper.MaxShownQuestion)).Append('\n');
        if (tenancy.QuestionVariable is { } variable)
        {
            text.Append("(The whole question is in `").Append(variable).Append("`.)\n");
        }

        text.Append('\n').Append(TurnMarker(1, maxTurns));
        if (maxTurns > 1)
        {
            text.Append(" You have not seen the input yet: look at it first, and do not answer in this turn.");
        }

        return new ChatMessage(ChatRole.User, [new TextContent(text.ToString()), .. request.Attachments]);
    }

    public static string TurnMarker(int turn, int maxTurns) =>
        turn == maxTurns ? $"Turn {turn} of {maxTurns}, the last one." : $"Turn {turn} of {maxTurns}.";

    /// <summary>What the model is told after its last turn.</summary>
    public static string LastTurnMarker(int maxTurns) => $"{TurnsAreUsed(maxTurns)} Reply now with your best final answer, as plain text without code.";

    public static string TurnsAreUsed(int maxTurns) => $"All {maxTurns} turns are used.";

    private static void AddConversation(StringBuilder text, ReplTenancy tenancy)
    {
        if (tenancy.EarlierRequests > 0)
        {
            var last = tenancy.EarlierRequests - 1;
            text.Append("- `history_0`").Append(last > 0 ? $" to `history_{last}`" : string.Empty)
                .Append(": list, all messages of each earlier request of this conversation in this REPL\n");
        }

        if (tenancy.Lost is { } lost)
        {
            text.Append(lost).Append('\n');
        }
        else if (tenancy.EarlierRequests > 0)
        {
            text.Append("Your variables of the earlier requests are there too: SHOW_VARS() lists them.\n");
        }
    }

    private static string Tools(IReadOnlyList<ToolDeclaration> tools)
    {
        if (tools.Count == 0)
        {
            return string.Empty;
        }

        var text = new StringBuilder("\nThese functions are there too. A call that fails raises an exception.\n");
        foreach (var tool in tools)
        {
            var parameters = tool.Parameters.Select(parameter =>
                parameter.Name
                + (parameter.Type is null ? string.Empty : $": {PythonType(parameter.Type)}")
                + (parameter.Required ? string.Empty : " = ..."));
            text.Append("- `").Append(tool.Name).Append('(').AppendJoin(", ", parameters).Append(")`");
            text.Append(string.IsNullOrWhiteSpace(tool.Description) ? "\n" : $": {tool.Description}\n");
        }

        return text.ToString();
    }

    private static string PythonType(string jsonType) => jsonType switch
    {
        "string" => "str",
        "integer" => "int",
        "number" => "float",
        "boolean" => "bool",
        "array" => "list",
        "object" => "dict",
        _ => jsonType,
    };
}
