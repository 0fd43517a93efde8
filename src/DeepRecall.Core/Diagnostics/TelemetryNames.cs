namespace DeepRecall.Diagnostics;

/// <summary>Every name that spans and metrics have: those of the conventions for generative AI, and for the rest those of our own.</summary>
internal static class TelemetryNames
{
    /// <summary>What is told of a failure that is no exception.</summary>
    public const string Other = "_OTHER";

    /// <summary>The names of spans; those that end in a space are followed by what they are about.</summary>
    public static class Spans
    {
        public const string Workflow = "invoke_workflow deeprecall";
        public const string Turn = "turn ";
        public const string Chat = "chat";
        public const string Cell = "execute_cell ";
        public const string Subcall = "subcall ";
        public const string Tool = "execute_tool ";
    }

    /// <summary>OpenTelemetry's own attributes.</summary>
    public static class GenAI
    {
        public const string ErrorType = "error.type";
        public const string ServerAddress = "server.address";
        public const string ServerPort = "server.port";
        public const string OperationName = "gen_ai.operation.name";
        public const string WorkflowName = "gen_ai.workflow.name";
        public const string ConversationId = "gen_ai.conversation.id";
        public const string ProviderName = "gen_ai.provider.name";
        public const string RequestModel = "gen_ai.request.model";
        public const string RequestMaxTokens = "gen_ai.request.max_tokens";
        public const string ResponseModel = "gen_ai.response.model";
        public const string ResponseId = "gen_ai.response.id";
        public const string FinishReasons = "gen_ai.response.finish_reasons";
        public const string InputTokens = "gen_ai.usage.input_tokens";
        public const string OutputTokens = "gen_ai.usage.output_tokens";
        public const string InputMessages = "gen_ai.input.messages";
        public const string OutputMessages = "gen_ai.output.messages";
        public const string ToolName = "gen_ai.tool.name";
        public const string ToolArguments = "gen_ai.tool.call.arguments";
        public const string ToolResult = "gen_ai.tool.call.result";
        public const string TokenType = "gen_ai.token.type";
    }

    /// <summary>Attributes of our own.</summary>
    public static class Own
    {
        public const string RunId = "deeprecall.run.id";
        public const string Depth = "deeprecall.depth";
        public const string StopReason = "deeprecall.stop_reason";
        public const string Turns = "deeprecall.turns";
        public const string Turn = "deeprecall.turn";
        public const string CostUsd = "deeprecall.cost_usd";
        public const string Question = "deeprecall.question";
        public const string Answer = "deeprecall.answer";
        public const string CellNumber = "deeprecall.cell.number";
        public const string CellStatus = "deeprecall.cell.status";
        public const string CellCode = "deeprecall.cell.code";
        public const string CellOutput = "deeprecall.cell.output";
        public const string Environment = "deeprecall.environment";
        public const string SubcallFunction = "deeprecall.subcall.function";
        public const string SubcallNumber = "deeprecall.subcall.number";
        public const string SubcallModel = "deeprecall.subcall.model";
        public const string Outcome = "deeprecall.outcome";
        public const string PoolHit = "deeprecall.pool.hit";
        public const string Limit = "deeprecall.limit";
    }

    /// <summary>The metrics.</summary>
    public static class Metrics
    {
        public const string RequestDuration = "deeprecall.request.duration";
        public const string Turns = "deeprecall.turns";
        public const string Cells = "deeprecall.cells";
        public const string CellDuration = "deeprecall.cell.duration";
        public const string Subcalls = "deeprecall.subcalls";
        public const string Searches = "deeprecall.searches";
        public const string TokenUsage = "gen_ai.client.token.usage";
        public const string Tokens = "deeprecall.tokens";
        public const string Cost = "deeprecall.cost";
        public const string SandboxStarts = "deeprecall.sandbox.starts";
        public const string SandboxStartDuration = "deeprecall.sandbox.start.duration";
        public const string PoolIdle = "deeprecall.pool.idle";
        public const string PoolTakes = "deeprecall.pool.takes";
        public const string Limits = "deeprecall.limits";
    }
}
