using System.Collections.Frozen;

namespace DeepRecall.Loop;

/// <summary>The context windows of known models, in tokens.</summary>
internal static class ModelWindows
{
    /// <summary>What a model is taken to have that nothing is known of.</summary>
    public const int Unknown = 128_000;

    private static readonly FrozenDictionary<string, int> Known = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase)
    {
        ["gpt-5"] = 272_000,
        ["gpt-4.1"] = 1_047_576,
        ["gpt-4o"] = 128_000,
        ["gpt-4-turbo"] = 128_000,
        ["gpt-4-32k"] = 32_768,
        ["gpt-4"] = 8_192,
        ["gpt-3.5-turbo"] = 16_385,
        ["o1"] = 200_000,
        ["o1-mini"] = 128_000,
        ["o1-preview"] = 128_000,
        ["o3"] = 200_000,
        ["o4-mini"] = 200_000,
        ["claude"] = 200_000,
        ["claude-2"] = 100_000,
        ["claude-2.1"] = 200_000,
        ["gemini"] = 1_000_000,
        ["gemini-1.0-pro"] = 30_720,
        ["llama-2"] = 4_096,
        ["llama-3"] = 8_192,
        ["llama-3.1"] = 128_000,
        ["llama-3.2"] = 128_000,
        ["llama-3.3"] = 128_000,
        ["qwen3"] = 128_000,
        ["qwen3-8b"] = 32_768,
        ["qwen3-max"] = 256_000,
        ["kimi-k2"] = 256_000,
        ["kimi"] = 128_000,
        ["glm-4.6"] = 200_000,
        ["glm"] = 128_000,
    }.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    /// <summary>The window of a model: that of its own name, else of the longest known name that its name has as a part.</summary>
    public static int Of(string? model)
    {
        if (string.IsNullOrWhiteSpace(model))
        {
            return Unknown;
        }

        return Known.TryGetValue(model, out var window)
            ? window
            : Known.Where(entry => HasPart(model, entry.Key)).OrderByDescending(entry => entry.Key.Length).Select(entry => (int?)entry.Value).FirstOrDefault() ?? Unknown;
    }

    // "foo1-mini" is no "o1-mini", and "gpt-50" no "gpt-5".
    private static bool HasPart(string model, string name)
    {
        for (var start = 0; (start = model.IndexOf(name, start, StringComparison.OrdinalIgnoreCase)) >= 0; start++)
        {
            var end = start + name.Length;
            if ((start == 0 || !char.IsAsciiLetterOrDigit(model[start - 1])) && (end == model.Length || !char.IsAsciiDigit(model[end])))
            {
                return true;
            }
        }

        return false;
    }
}
