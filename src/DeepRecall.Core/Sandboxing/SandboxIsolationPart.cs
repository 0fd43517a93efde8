namespace DeepRecall.Sandboxing;

/// <summary>One part of a sandbox's isolation.</summary>
/// <param name="Name">What it is about, for example <c>network</c>.</param>
/// <param name="IsHeld">Whether it holds.</param>
/// <param name="Detail">By what it holds, or why it does not.</param>
/// <param name="IsExtra">Whether the isolation is complete without it.</param>
public sealed record SandboxIsolationPart(string Name, bool IsHeld, string Detail, bool IsExtra = false)
{
    /// <summary>Says the name and the detail.</summary>
    public override string ToString() => $"{Name} ({Detail})";
}
