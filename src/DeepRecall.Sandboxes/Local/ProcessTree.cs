using System.Text;

namespace DeepRecall.Sandboxes.Local;

/// <summary>The processes below a process, as Linux lists them (<c>/proc/PID/task/TID/children</c>, see proc(5)).</summary>
internal static class ProcessTree
{
    public static IReadOnlyList<int> Descendants(int processId)
    {
        List<int> found = [];
        Collect(processId, found);
        return found;
    }

    /// <summary>The processes that were started with an environment variable of this value.</summary>
    public static List<int> WithVariable(string name, string value)
    {
        List<int> found = [];
        if (!OperatingSystem.IsLinux())
        {
            return found;
        }

        var wanted = Encoding.UTF8.GetBytes($"{name}={value}\0");
        foreach (var directory in ListProcesses())
        {
            try
            {
                if (int.TryParse(Path.GetFileName(directory), out var id) && File.ReadAllBytes(Path.Combine(directory, "environ")).AsSpan().IndexOf(wanted) >= 0)
                {
                    found.Add(id);
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It ended while it was looked at, or it is another user's.
            }
        }

        return found;
    }

    private static string[] ListProcesses()
    {
        try
        {
            return Directory.GetDirectories("/proc");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return []; // it is not mounted
        }
    }

    private static void Collect(int processId, List<int> found)
    {
        try
        {
            foreach (var task in Directory.EnumerateDirectories($"/proc/{processId}/task"))
            {
                foreach (var child in File.ReadAllText(Path.Combine(task, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries))
                {
                    if (int.TryParse(child, out var id) && !found.Contains(id))
                    {
                        found.Add(id);
                        Collect(id, found);
                    }
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It ended while it was looked at, or this kernel keeps no such list.
        }
    }
}
