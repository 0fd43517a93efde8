using DeepRecall.Request;
using Microsoft.Extensions.AI;

namespace DeepRecall.Testing;

/// <summary>Replies of a model, and messages of a caller, in few words.</summary>
public static class Script
{
    /// <summary>A reply that is one block of code.</summary>
    public static string Code(string python) => $"```repl\n{python}\n```";

    /// <summary>A reply whose code answers with the value of a Python expression.</summary>
    public static string Answer(string expression) => Code($"answer[\"content\"] = {expression}\nanswer[\"ready\"] = True");

    /// <summary>A user message with a context and a question.</summary>
    public static ChatMessage[] About(string context, string question = "What is it?") =>
        About(ContextContent.FromText(context), question);

    /// <summary>A user message with a context and a question.</summary>
    public static ChatMessage[] About(AIContent context, string question = "What is it?") =>
        [new ChatMessage(ChatRole.User, [context, new TextContent(question)])];

    /// <summary>A user message that is a question alone.</summary>
    public static ChatMessage[] Ask(string question) => [new ChatMessage(ChatRole.User, question)];
}
