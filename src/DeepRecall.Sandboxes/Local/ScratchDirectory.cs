using System.Diagnostics;

namespace DeepRecall.Sandboxes.Local;

/// <summary>Deletes what model code left, whatever it did to names, depths and permissions.</summary>
internal static class ScratchDirectory
{
    public static void Delete(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (DirectoryNotFoundException) when (!Directory.Exists(path))
        {
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            DeleteByForce(path);
        }
    }

    private static void DeleteByForce(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return; // what is locked now is deleted with the orphans of this host, by a later one
        }

        // Paths longer than the system's limit and names that are not Unicode are beyond .NET, not beyond the system's own tools.
        Run("chmod", "-R", "u+rwX", "--", path);
        Run("rm", "-rf", "--", path);
    }

    private static void Run(string command, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true });
            process?.StandardError.ReadToEnd();
            process?.WaitForExit();
        }
        catch (System.ComponentModel.Win32Exception)
        {
            // There is no such tool: the orphans' fate.
        }
    }
}
