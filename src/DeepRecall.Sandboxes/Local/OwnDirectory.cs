using System.Runtime.InteropServices;
using System.Text;
using DeepRecall.Sandboxes.Local.Confinement;

namespace DeepRecall.Sandboxes.Local;

/// <summary>Tells a directory of this user from one that another user, or a link, put in its place.</summary>
internal static unsafe partial class OwnDirectory
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const int CurrentDirectory = -100;
    private const int NoFollowSymlink = 0x100;
    private const uint WithTypeAndOwner = 0x0001 | 0x0008; // STATX_TYPE and STATX_UID

    /// <summary>Whether the path is a directory, no link to one, and nobody else's.</summary>
    public static bool Is(string path)
    {
        if (new DirectoryInfo(path) is { Exists: false } or { LinkTarget: not null })
        {
            return false;
        }

        if (OperatingSystem.IsWindows())
        {
            return true; // the temporary directory is each user's own
        }

        if (!OperatingSystem.IsLinux() || SyscallTable.Current is not { } table)
        {
            return File.GetUnixFileMode(path) == Private; // what is so, and another's, cannot be entered
        }

        // struct statx: owner at 20, mode at 28
        var facts = stackalloc byte[256];
        fixed (byte* start = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return SystemCall(table.Numbers["statx"], CurrentDirectory, (nint)start, NoFollowSymlink, (nint)WithTypeAndOwner, (nint)facts) == 0
                && (*(ushort*)(facts + 28) & 0xF000) == 0x4000
                && *(uint*)(facts + 20) == GetUser();
        }
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetUser();

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third, nint fourth, nint fifth);
}
