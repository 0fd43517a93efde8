using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>What confinement.py is to do, as it reads it.</summary>
internal sealed partial record ConfinementPlan(
    IReadOnlyDictionary<string, int> Numbers,
    string Filter,
    IReadOnlyList<int> ProcessIdAt,
    IReadOnlyList<string> Readable,
    bool Subprocesses,
    bool Network,
    IReadOnlyList<string> Hidden)
{
    private const nuint AskForVersion = 1;

    private static readonly string[] NeededCalls =
        ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "prctl", "capset", "close_range", "unshare"];

    /// <summary>The Python that carries a plan out.</summary>
    public static string Source { get; } = ReadSource();

    /// <summary>Makes the plan for this machine; <see langword="null"/> where there is no confinement for it.</summary>
    public static ConfinementPlan? Make(ConfinementSettings settings)
    {
        if (!OperatingSystem.IsLinux() || SyscallTable.Current is not { } table)
        {
            return null;
        }

        var version = settings.HiddenMechanisms.Contains("landlock_create_ruleset") ? 0 : LandlockVersion(table);
        var filter = SeccompRules.Build(table, version, settings.AllowSubprocesses, settings.AllowNetwork);
        return new ConfinementPlan(
            NeededCalls.ToDictionary(name => name, name => table.Numbers[name], StringComparer.Ordinal),
            Convert.ToBase64String(filter.ToProgram()),
            filter.ProcessIdAt,
            settings.ReadablePaths,
            settings.AllowSubprocesses,
            settings.AllowNetwork,
            settings.HiddenMechanisms);
    }

    public string ToJson() => JsonSerializer.Serialize(this, ConfinementJson.Default.ConfinementPlan);

    private static string ReadSource()
    {
        using var reader = new StreamReader(typeof(ConfinementPlan).Assembly.GetManifestResourceStream("confinement.py")!);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }

    /// <summary>The version of Landlock's interface; 0 where there is none. Asking restricts nothing.</summary>
    private static int LandlockVersion(SyscallTable table) =>
        (int)Math.Max(0, SystemCall(table.Numbers["landlock_create_ruleset"], 0, 0, AskForVersion));

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint SystemCall(nint number, nuint first, nuint second, nuint third);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ConfinementPlan))]
[JsonSerializable(typeof(Dictionary<string, JsonElement[]>))]
internal sealed partial class ConfinementJson : JsonSerializerContext;
