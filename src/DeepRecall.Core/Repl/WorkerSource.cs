namespace DeepRecall.Repl;

/// <summary>The Python worker, as it is embedded in this assembly.</summary>
internal static class WorkerSource
{
    public static string Text { get; } = Resources.Read("worker.py");
}
