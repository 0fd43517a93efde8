namespace DeepRecall.Sandboxes.Cloud;

/// <summary>The labels by which sandboxes of this library are known in a vendor's account, so that what was left over can be found and deleted.</summary>
internal static class CloudLabels
{
    /// <summary>The key of the label that every sandbox has; where labels are plain words, <see cref="Owner"/> is one.</summary>
    public const string OwnerKey = "managed-by";

    public const string Owner = "deeprecall";

    /// <summary>The key of the label with the id of one start, by which a sandbox is found whose creation was not answered.</summary>
    public const string StartKey = "deeprecall-start";

    public static string NewStart() => Guid.NewGuid().ToString("N");

    /// <summary>The start's label where labels are plain words.</summary>
    public static string StartWord(string start) => $"{StartKey}-{start}";
}
