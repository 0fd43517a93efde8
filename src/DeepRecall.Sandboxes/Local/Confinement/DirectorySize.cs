using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>Measures what is on disk, whatever its makers called it: names that are no Unicode are beyond .NET, not beyond the system calls.</summary>
internal static unsafe partial class DirectorySize
{
    /// <summary>What a file counts at least, so that many empty ones are not for free.</summary>
    public const long LeastFileSize = 4096;

    // The system takes no path of 4,096 bytes or more.
    private const int MaxPath = 4095;
    private const int NoFollowSymlink = 0x100;
    private const int CurrentDirectory = -100;
    private const uint WithTypeAndBlocks = 0x0401 | 0x0004; // STATX_TYPE, STATX_NLINK and STATX_BLOCKS
    private const byte DirectoryType = 4;

    private static readonly int OpenDirectory = RuntimeInformation.ProcessArchitecture == Architecture.Arm64
        ? 0x8_0000 | 0x4000 | 0x8000 // O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW
        : 0x8_0000 | 0x1_0000 | 0x2_0000;

    /// <summary>Adds up what is below a directory.</summary>
    /// <param name="directory">The directory.</param>
    /// <param name="enough">Where to stop adding.</param>
    /// <returns><see langword="null"/> when there is a directory whose path is too long for the system.</returns>
    public static long? Measure(string directory, long enough)
    {
        var total = 0L;
        Queue<byte[]> waiting = new([Encoding.UTF8.GetBytes(directory)]);
        var entries = new byte[32 * 1024];
        while (total <= enough && waiting.TryDequeue(out var path))
        {
            if (path.Length >= MaxPath)
            {
                return null;
            }

            var descriptor = Open([.. path, 0], OpenDirectory);
            if (descriptor < 0)
            {
                continue; // it is gone
            }

            try
            {
                total += MeasureEntries(descriptor, path, entries, waiting);
            }
            finally
            {
                _ = Close(descriptor);
            }
        }

        return total;
    }

    /// <summary>Adds up the files that a process has open and that have no name any more; 0 where this host may not look.</summary>
    public static long MeasureDeletedFiles(int processId)
    {
        var total = 0L;
        try
        {
            foreach (var descriptor in Directory.EnumerateFileSystemEntries($"/proc/{processId}/fd"))
            {
                if (Stat(CurrentDirectory, Encoding.UTF8.GetBytes(descriptor + '\0'), 0) is { IsFile: true, Links: 0 } file)
                {
                    total += file.Size;
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It ended, or only root may see this.
        }

        return total;
    }

    private static long MeasureEntries(int descriptor, byte[] path, byte[] buffer, Queue<byte[]> directories)
    {
        var total = 0L;
        int length;
        while ((length = ReadEntries(descriptor, buffer)) > 0)
        {
            // struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name
            for (var start = 0; start < length; start += BinaryPrimitives.ReadUInt16LittleEndian(buffer.AsSpan(start + 16)))
            {
                var name = buffer.AsSpan(start + 19);
                name = name[..(name.IndexOf((byte)0) + 1)];
                if (name.SequenceEqual(".\0"u8) || name.SequenceEqual("..\0"u8))
                {
                    continue;
                }

                total += Math.Max(LeastFileSize, Stat(descriptor, name, NoFollowSymlink)?.Size ?? 0);
                if (buffer[start + 18] == DirectoryType)
                {
                    directories.Enqueue([.. path, (byte)'/', .. name[..^1]]);
                }
            }
        }

        return total;
    }

    private static int ReadEntries(int descriptor, byte[] buffer)
    {
        fixed (byte* start = buffer)
        {
            return (int)SystemCall(SyscallTable.Current!.Numbers["getdents64"], descriptor, (nint)start, buffer.Length, 0, 0);
        }
    }

    private static FileFacts? Stat(int directory, ReadOnlySpan<byte> name, int flags)
    {
        // struct statx: number of links at 16, mode at 28, blocks of 512 bytes at 48
        var facts = stackalloc byte[256];
        fixed (byte* start = name)
        {
            if (SystemCall(SyscallTable.Current!.Numbers["statx"], directory, (nint)start, flags, (nint)WithTypeAndBlocks, (nint)facts) != 0)
            {
                return null;
            }
        }

        return new FileFacts((*(ushort*)(facts + 28) & 0xF000) == 0x8000, *(uint*)(facts + 16), 512 * *(long*)(facts + 48));
    }

    [LibraryImport("libc", EntryPoint = "open")]
    private static partial int Open(byte[] path, int flags);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third, nint fourth, nint fifth);

    private sealed record FileFacts(bool IsFile, uint Links, long Size);
}
