using System.Runtime.InteropServices;

namespace DeepRecall.Sandboxes.Local.Confinement;

/// <summary>The numbers of the system calls that the confinement names or makes, for each architecture that it knows.</summary>
/// <remarks>
/// From the kernel's headers: <c>asm/unistd_64.h</c> of x86-64, and <c>asm-generic/unistd.h</c>, which is that of arm64. A number of -1
/// says that the architecture has no such call.
/// </remarks>
internal sealed class SyscallTable
{
    /// <summary>The newest call that both headers name. What is newer than the table is refused as unknown.</summary>
    public const int Newest = 450;

    private readonly Dictionary<string, int> _numbers;

    private SyscallTable(Architecture architecture, uint auditArchitecture, Func<(string Name, int X64, int Arm64), int> select)
    {
        Architecture = architecture;
        AuditArchitecture = auditArchitecture;
        _numbers = All.ToDictionary(call => call.Name, select, StringComparer.Ordinal);
    }

    public static SyscallTable X64 { get; } = new(Architecture.X64, 0xC000003E, call => call.X64);

    public static SyscallTable Arm64 { get; } = new(Architecture.Arm64, 0xC00000B7, call => call.Arm64);

    public static SyscallTable? Current => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => X64,
        Architecture.Arm64 => Arm64,
        _ => null,
    };

    public Architecture Architecture { get; }

    /// <summary>The kernel's AUDIT_ARCH_ value, by which a filter knows the numbering of a call.</summary>
    public uint AuditArchitecture { get; }

    public IReadOnlyDictionary<string, int> Numbers => _numbers;

    /// <summary>The number of a call; <see langword="null"/> where the architecture has no such call.</summary>
    public int? Find(string name) => _numbers[name] is >= 0 and var number ? number : null;

    private static (string Name, int X64, int Arm64)[] All =>
    [
        ("accept", 43, 202),
        ("accept4", 288, 242),
        ("acct", 163, 89),
        ("add_key", 248, 217),
        ("adjtimex", 159, 171),
        ("bind", 49, 200),
        ("bpf", 321, 280),
        ("capset", 126, 91),
        ("chmod", 90, -1),
        ("chown", 92, -1),
        ("chroot", 161, 51),
        ("clock_adjtime", 305, 266),
        ("clock_settime", 227, 112),
        ("clone", 56, 220),
        ("clone3", 435, 435),
        ("close_range", 436, 436),
        ("connect", 42, 203),
        ("delete_module", 176, 106),
        ("execve", 59, 221),
        ("execveat", 322, 281),
        ("fanotify_init", 300, 262),
        ("fanotify_mark", 301, 263),
        ("fchmod", 91, 52),
        ("fchmodat", 268, 53),
        ("fchown", 93, 55),
        ("fchownat", 260, 54),
        ("fcntl", 72, 25),
        ("finit_module", 313, 273),
        ("fork", 57, -1),
        ("fremovexattr", 199, 16),
        ("fsconfig", 431, 431),
        ("fsetxattr", 190, 7),
        ("fsmount", 432, 432),
        ("fsopen", 430, 430),
        ("fspick", 433, 433),
        ("futimesat", 261, -1),
        ("getdents64", 217, 61),
        ("init_module", 175, 105),
        ("inotify_add_watch", 254, 27),
        ("inotify_init", 253, -1),
        ("inotify_init1", 294, 26),
        ("io_uring_enter", 426, 426),
        ("io_uring_register", 427, 427),
        ("io_uring_setup", 425, 425),
        ("ioctl", 16, 29),
        ("ioperm", 173, -1),
        ("iopl", 172, -1),
        ("ioprio_set", 251, 30),
        ("kcmp", 312, 272),
        ("kexec_file_load", 320, 294),
        ("kexec_load", 246, 104),
        ("keyctl", 250, 219),
        ("kill", 62, 129),
        ("landlock_add_rule", 445, 445),
        ("landlock_create_ruleset", 444, 444),
        ("landlock_restrict_self", 446, 446),
        ("lchown", 94, -1),
        ("listen", 50, 201),
        ("lookup_dcookie", 212, 18),
        ("lremovexattr", 198, 15),
        ("lsetxattr", 189, 6),
        ("memfd_create", 319, 279),
        ("memfd_secret", 447, 447),
        ("migrate_pages", 256, 238),
        ("mkdir", 83, -1),
        ("mkdirat", 258, 34),
        ("modify_ldt", 154, -1),
        ("mount", 165, 40),
        ("mount_setattr", 442, 442),
        ("move_mount", 429, 429),
        ("move_pages", 279, 239),
        ("mq_open", 240, 180),
        ("mq_unlink", 241, 181),
        ("msgctl", 71, 187),
        ("msgget", 68, 186),
        ("msgrcv", 70, 188),
        ("msgsnd", 69, 189),
        ("name_to_handle_at", 303, 264),
        ("nfsservctl", 180, 42),
        ("open", 2, -1),
        ("open_by_handle_at", 304, 265),
        ("open_tree", 428, 428),
        ("openat", 257, 56),
        ("openat2", 437, 437),
        ("perf_event_open", 298, 241),
        ("personality", 135, 92),
        ("pidfd_getfd", 438, 438),
        ("pidfd_open", 434, 434),
        ("pidfd_send_signal", 424, 424),
        ("pivot_root", 155, 41),
        ("prctl", 157, 167),
        ("prlimit64", 302, 261),
        ("process_madvise", 440, 440),
        ("process_mrelease", 448, 448),
        ("process_vm_readv", 310, 270),
        ("process_vm_writev", 311, 271),
        ("ptrace", 101, 117),
        ("quotactl", 179, 60),
        ("quotactl_fd", 443, 443),
        ("reboot", 169, 142),
        ("removexattr", 197, 14),
        ("request_key", 249, 218),
        ("rt_sigqueueinfo", 129, 138),
        ("rt_tgsigqueueinfo", 297, 240),
        ("sched_setaffinity", 203, 122),
        ("sched_setattr", 314, 274),
        ("sched_setparam", 142, 118),
        ("sched_setscheduler", 144, 119),
        ("seccomp", 317, 277),
        ("semctl", 66, 191),
        ("semget", 64, 190),
        ("semop", 65, 193),
        ("semtimedop", 220, 192),
        ("setdomainname", 171, 162),
        ("sethostname", 170, 161),
        ("setns", 308, 268),
        ("setpriority", 141, 140),
        ("setrlimit", 160, 164),
        ("settimeofday", 164, 170),
        ("setxattr", 188, 5),
        ("shmat", 30, 196),
        ("shmctl", 31, 195),
        ("shmget", 29, 194),
        ("socket", 41, 198),
        ("socketpair", 53, 199),
        ("statx", 332, 291),
        ("swapoff", 168, 225),
        ("swapon", 167, 224),
        ("syslog", 103, 116),
        ("tgkill", 234, 131),
        ("tkill", 200, 130),
        ("truncate", 76, 45),
        ("umask", 95, 166),
        ("umount2", 166, 39),
        ("unshare", 272, 97),
        ("userfaultfd", 323, 282),
        ("utime", 132, -1),
        ("utimensat", 280, 88),
        ("utimes", 235, -1),
        ("vfork", 58, -1),
        ("vhangup", 153, 58),
    ];
}
