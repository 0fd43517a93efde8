namespace DeepRecall.Sandboxes.Local;

/// <summary>Deletes what model code left, whatever it did to its permissions.</summary>
internal static class ScratchDirectory
{
    public static void Delete(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            DeleteAfterUnlocking(path);
        }
    }

    private static void DeleteAfterUnlocking(string path)
    {
        try
        {
            Unlock(new DirectoryInfo(path));
            Directory.Delete(path, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // What cannot be deleted now is deleted with the orphans of this host, by a later one.
        }
    }

    private static void Unlock(DirectoryInfo directory)
    {
        if (!OperatingSystem.IsWindows())
        {
            directory.UnixFileMode |= UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        }

        foreach (var entry in directory.EnumerateFileSystemInfos())
        {
            if (OperatingSystem.IsWindows())
            {
                entry.Attributes &= ~FileAttributes.ReadOnly;
            }

            if (entry is DirectoryInfo below && below.LinkTarget is null)
            {
                Unlock(below);
            }
        }
    }
}
