using static DeepRecall.Sandboxes.Local.Confinement.SeccompFilter;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>Which system calls confined code may not make. Numbers of flags and commands are those of the kernel's own headers.</summary>
internal static class SeccompRules
{
    private const uint NewNamespaces = 0x7E02_0080; // CLONE_NEW*
    private const uint CloneThread = 0x0001_0000;
    private const uint CloneFiles = 0x400;
    private const uint CloneFilePlaces = 0x200; // CLONE_FS
    private const uint CloseRangeUnshare = 2;
    private const uint CloneParent = 0x0000_8000;
    private const uint OpenTruncate = 0x200;
    private const uint OpenAccess = 0x3;
    private const uint OwnerRights = 0x1C0;
    private const uint SocketType = 0xF;
    private const uint UnixFamily = 1;
    private const uint InternetFamily = 2;
    private const uint Internet6Family = 10;
    private const uint StreamType = 1;
    private const uint DatagramType = 2;

    private static readonly string[] OtherProcesses =
    [
        "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise", "process_mrelease", "migrate_pages", "move_pages", "ioprio_set",
    ];

    private static readonly string[] MountsAndNamespaces =
    [
        "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
        "swapon", "swapoff", "quotactl", "quotactl_fd", "name_to_handle_at", "open_by_handle_at",
    ];

    private static readonly string[] KernelInterfaces =
    [
        "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "add_key", "request_key", "keyctl",
        "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "iopl", "ioperm", "modify_ldt", "acct", "syslog", "vhangup",
        "personality", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "lookup_dcookie", "nfsservctl", "setrlimit",
    ];

    // Files, as memory that no limit counts or as news of what happens to those of others; and what processes of one user share.
    private static readonly string[] OutsideOfFiles =
    [
        "memfd_create", "memfd_secret", "fanotify_init", "fanotify_mark", "inotify_init", "inotify_init1", "inotify_add_watch", "mq_open", "mq_unlink",
        "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop", "semctl", "shmget", "shmat", "shmctl",
    ];

    // Landlock does not know these, so they could reach every file of the user.
    private static readonly string[] FileMetadata =
    [
        "chmod", "fchmod", "fchmodat", "chown", "lchown", "fchown", "fchownat", "utime", "utimes", "futimesat", "utimensat",
        "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr",
    ];

    private static readonly string[] Signals = ["kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"];

    private static readonly uint[] RefusedIoctls =
    [
        0x5412, 0x541C, // TIOCSTI and TIOCLINUX: typing into a terminal
        0x8901, 0x8902, // FIOSETOWN and SIOCSPGRP: signals to others
        0x4008_6602, 0x4008_7602, 0x4008_6604, 0x401C_5820, // FS_IOC_SETFLAGS, FS_IOC_SETVERSION, EXT4_IOC_SETVERSION, FS_IOC_FSSETXATTR: metadata
        0x4080_6685, 0x800C_6613, 0x6609, // FS_IOC_ENABLE_VERITY, FS_IOC_SET_ENCRYPTION_POLICY, EXT4_IOC_MIGRATE: how a file is kept
    ];

    private static readonly uint[] RefusedFcntls = [8, 15, 10, 1024, 1026]; // F_SETOWN, F_SETOWN_EX and F_SETSIG: signals to others; F_SETLEASE, F_NOTIFY

    private static readonly uint[] RefusedPrctls = [4, 36, 62]; // PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SCHED_CORE

    public static SeccompFilter Build(SyscallTable table, int landlockVersion, bool allowSubprocesses, bool allowNetwork)
    {
        var filter = new SeccompFilter(table);

        // The calls that are made often come first.
        filter.Check(["fcntl"], tests => EqualAny(tests, 1, RefusedFcntls), Allow)
            .Check(["ioctl"], tests => EqualAny(tests, 1, RefusedIoctls), Allow)
            .Check(["prctl"], tests => EqualAny(tests, 0, RefusedPrctls), Allow)
            .Check(["close_range"], tests => tests.AnySet(2, CloseRangeUnshare, NotPermitted), Allow)
            .Check(["prlimit64"], tests => tests.NotNull(2, NotPermitted).Equal(0, 0, Allow).OwnProcess(0, Allow), NotPermitted)
            .Check(["sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"], tests => tests.Equal(0, 0, Allow).OwnProcess(0, Allow), NotPermitted)
            .Check(["setpriority"], tests => tests.NotEqual(0, 0, NotPermitted).Equal(1, 0, Allow).OwnProcess(1, Allow), NotPermitted);
        AddFiles(filter, landlockVersion);
        AddSockets(filter, allowNetwork);
        AddProcesses(filter, landlockVersion, allowSubprocesses);
        return filter.Refuse(NotPermitted, OtherProcesses)
            .Refuse(NotPermitted, MountsAndNamespaces)
            .Refuse(NotPermitted, KernelInterfaces)
            .Refuse(NotPermitted, OutsideOfFiles)
            .Refuse(NotPermitted, FileMetadata);
    }

    private static void AddFiles(SeccompFilter filter, int landlockVersion)
    {
        // No directory into which the host, which has to measure and to delete it, could not look.
        filter.Check(["mkdir"], tests => tests.NotEqual(1, OwnerRights, NotPermitted, OwnerRights), Allow)
            .Check(["mkdirat"], tests => tests.NotEqual(2, OwnerRights, NotPermitted, OwnerRights), Allow)
            .Check(["umask"], tests => tests.AnySet(0, OwnerRights, NotPermitted), Allow);
        if (landlockVersion < 3)
        {
            // Before its version 3 Landlock let a file that may be read be emptied. openat2 has its flags where no filter can see them.
            filter.Check(["open"], tests => tests.Equal(1, OpenTruncate, NotPermitted, OpenTruncate | OpenAccess), Allow)
                .Check(["openat"], tests => tests.Equal(2, OpenTruncate, NotPermitted, OpenTruncate | OpenAccess), Allow)
                .Refuse(NotImplemented, "openat2")
                .Refuse(NotPermitted, "truncate");
        }
    }

    private static void AddSockets(SeccompFilter filter, bool allowNetwork)
    {
        // A pair of streams reaches nobody; one of datagrams could be sent from to any path.
        filter.Check(["socketpair"], tests => tests.NotEqual(0, UnixFamily, NotPermitted).Equal(1, StreamType, Allow, SocketType), NotPermitted);
        if (allowNetwork)
        {
            filter.Check(
                ["socket"],
                tests => tests.Greater(1, DatagramType, NotPermitted, SocketType).Equal(0, InternetFamily, Allow).Equal(0, Internet6Family, Allow),
                NotPermitted);
        }
        else
        {
            filter.Refuse(NotPermitted, "socket", "connect", "bind", "listen", "accept", "accept4");
        }
    }

    private static void AddProcesses(SeccompFilter filter, int landlockVersion, bool allowSubprocesses)
    {
        // Its flags are where no filter can see them; a C library that finds it missing calls clone.
        filter.Refuse(NotImplemented, "clone3");
        if (allowSubprocesses)
        {
            filter.Check(["clone"], tests => ShareFiles(tests.AnySet(0, NewNamespaces | CloneParent, NotPermitted).NoneSet(0, CloneThread, Allow)), Allow);
        }
        else
        {
            filter.Check(["clone"], tests => ShareFiles(tests.AnySet(0, NewNamespaces, NotPermitted).NoneSet(0, CloneThread, NotPermitted)), Allow)
                .Refuse(NotPermitted, "fork", "vfork", "execve", "execveat");
        }

        if (!allowSubprocesses || landlockVersion < 6)
        {
            filter.Check(Signals, tests => tests.OwnProcess(0, Allow), NotPermitted)
                .Refuse(NotPermitted, "pidfd_open", "pidfd_send_signal");
        }
    }

    // A thread with descriptors of its own could keep deleted files open where the host, which looks at those of the process, does not see them.
    private static void ShareFiles(Tests tests) => tests.NoneSet(0, CloneFiles, NotPermitted).NoneSet(0, CloneFilePlaces, NotPermitted);

    private static void EqualAny(Tests tests, int argument, uint[] values)
    {
        foreach (var value in values)
        {
            tests.Equal(argument, value, NotPermitted);
        }
    }
}
