using System.Collections.Concurrent;

namespace DeepRecall.Sandboxes.Docker;

/// <summary>The containers of this host that it could not remove, because their engine was gone or hung; the next look at the engine does.</summary>
internal static class DockerContainers
{
    private static readonly ConcurrentDictionary<string, bool> Left = new(StringComparer.Ordinal);

    public static bool AreLeft => !Left.IsEmpty;

    public static void Leave(string id) => Left[id] = true;

    public static bool IsLeft(string id) => Left.ContainsKey(id);

    public static void Forget(string id) => Left.TryRemove(id, out _);
}
