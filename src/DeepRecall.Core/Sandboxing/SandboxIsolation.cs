namespace DeepRecall.Sandboxing;

/// <summary>What keeps the code in a sandbox from its host, part by part: held, or missing and why.</summary>
/// <remarks>It is what was found when the process started, not what was asked for.</remarks>
public sealed record SandboxIsolation
{
    /// <summary>Gets the parts, the most important first.</summary>
    public required IReadOnlyList<SandboxIsolationPart> Parts { get; init; }

    /// <summary>Gets a value indicating whether every part holds, extra ones apart.</summary>
    public bool IsComplete => Parts.Count > 0 && Parts.All(part => part.IsHeld || part.IsExtra);

    /// <summary>Says which parts hold and which are missing, in one line.</summary>
    public override string ToString()
    {
        var held = Parts.Where(part => part.IsHeld).Select(part => part.Name).ToArray();
        var missing = Parts.Where(part => !part.IsHeld && !part.IsExtra).Select(part => part.ToString()).ToArray();
        return (held.Length, missing.Length) switch
        {
            (0, 0) => "nothing is known",
            (_, 0) => $"complete: {string.Join(", ", held)}",
            (0, _) => $"missing: {string.Join("; ", missing)}",
            _ => $"held: {string.Join(", ", held)}; missing: {string.Join("; ", missing)}",
        };
    }
}
