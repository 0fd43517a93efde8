namespace DeepRecall.Sandboxes;

/// <summary>What a file may be called that is uploaded into a sandbox, alike for all environments.</summary>
internal static class UploadName
{
    /// <summary>Refuses what is no name for an uploaded file.</summary>
    public static void Check(string name)
    {
        if (name.Length == 0 || name.Any(letter => !char.IsAsciiLetterOrDigit(letter) && letter is not ('.' or '-' or '_')) || name.Trim('.').Length == 0)
        {
            throw new ArgumentException($"'{name}' is no name for an uploaded file: letters, digits, dots, hyphens and underscores are allowed.", nameof(name));
        }
    }
}
