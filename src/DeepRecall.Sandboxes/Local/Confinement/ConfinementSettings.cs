namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>The part of the options that is about confinement, checked and fixed.</summary>
internal sealed record ConfinementSettings
{
    private const long MinMemory = 16L << 20;
    private const long MinScratch = 1L << 20;
    private const int MinOpenFiles = 32;
    private const int MinThreads = 8;

    public required LocalIsolation Isolation { get; init; }

    public required bool AllowSubprocesses { get; init; }

    public required bool AllowNetwork { get; init; }

    public required IReadOnlyList<string> ReadablePaths { get; init; }

    public required long MemoryLimit { get; init; }

    public required long ScratchLimit { get; init; }

    public required int OpenFileLimit { get; init; }

    public required int ThreadLimit { get; init; }

    public required IReadOnlyList<string> HiddenMechanisms { get; init; }

    /// <exception cref="ArgumentException">An option is not what is allowed.</exception>
    public static ConfinementSettings From(LocalSandboxOptions options)
    {
        if (!Enum.IsDefined(options.Isolation))
        {
            throw Refuse(nameof(options.Isolation), $"{options.Isolation}", "Preferred, Required or None");
        }

        RequireAtLeast(nameof(options.MemoryLimit), options.MemoryLimit, MinMemory);
        RequireAtLeast(nameof(options.ScratchLimit), options.ScratchLimit, MinScratch);
        RequireAtLeast(nameof(options.OpenFileLimit), options.OpenFileLimit, MinOpenFiles);
        RequireAtLeast(nameof(options.ThreadLimit), options.ThreadLimit, MinThreads);
        foreach (var path in options.ReadablePaths)
        {
            if (!Path.IsPathFullyQualified(path) || !Path.Exists(path))
            {
                throw Refuse(nameof(options.ReadablePaths), $"'{path}'", "the full path of a file or directory that exists");
            }
        }

        return new ConfinementSettings
        {
            Isolation = options.Isolation,
            AllowSubprocesses = options.AllowSubprocesses,
            AllowNetwork = options.AllowNetwork,
            ReadablePaths = [.. options.ReadablePaths],
            MemoryLimit = options.MemoryLimit,
            ScratchLimit = options.ScratchLimit,
            OpenFileLimit = options.OpenFileLimit,
            ThreadLimit = options.ThreadLimit,
            HiddenMechanisms = [.. options.HiddenMechanisms],
        };
    }

    private static void RequireAtLeast(string option, long value, long least)
    {
        if (value < least)
        {
            throw Refuse(option, $"{value:N0}", $"{least:N0} or more");
        }
    }

    private static ArgumentException Refuse(string option, string value, string allowed) =>
        new($"{nameof(LocalSandboxOptions)}.{option} is {value}; allowed is {allowed}.");
}
