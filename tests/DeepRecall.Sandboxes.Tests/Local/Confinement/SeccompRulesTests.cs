using System.Buffers.Binary;
using DeepRecall.Sandboxes.Local.Confinement;

namespace DeepRecall.Sandboxes.Tests.Local.Confinement;

/// <summary>What the filters answer, for both architectures, by running them: the kernel's own machine, in small.</summary>
public sealed class SeccompRulesTests
{
    private const int OwnProcess = 4321;
    private const uint X64 = 0xC000003E;
    private const uint Arm64 = 0xC00000B7;
    private const uint X86 = 0x40000003;
    private const string Allowed = "allowed";
    private const string NotPermitted = "EPERM";
    private const string NotImplemented = "ENOSYS";
    private const string Killed = "killed";

    [Theory]
    [InlineData("ptrace", NotPermitted)]
    [InlineData("mount", NotPermitted)]
    [InlineData("unshare", NotPermitted)]
    [InlineData("bpf", NotPermitted)]
    [InlineData("io_uring_setup", NotPermitted)]
    [InlineData("keyctl", NotPermitted)]
    [InlineData("memfd_create", NotPermitted)]
    [InlineData("fchmodat", NotPermitted)]
    [InlineData("utimensat", NotPermitted)]
    [InlineData("setxattr", NotPermitted)]
    [InlineData("execve", NotPermitted)]
    [InlineData("clone3", NotImplemented)]
    [InlineData("socket", NotPermitted)]
    [InlineData("connect", NotPermitted)]
    [InlineData("pidfd_open", NotPermitted)]
    [InlineData("setrlimit", NotPermitted)]
    [InlineData("openat", Allowed)]
    [InlineData("openat2", Allowed)]
    [InlineData("getdents64", Allowed)]
    public void Call_IsAnsweredTheSameOnBothArchitectures(string name, string answer)
    {
        Assert.Equal(answer, Answer(SyscallTable.X64, name));
        Assert.Equal(answer, Answer(SyscallTable.Arm64, name));
    }

    [Theory]
    [InlineData("kill", OwnProcess, 0L, 0L, Allowed)]
    [InlineData("kill", OwnProcess + 1, 0L, 0L, NotPermitted)]
    [InlineData("kill", -1L, 0L, 0L, NotPermitted)]
    [InlineData("kill", 0L, 0L, 0L, NotPermitted)]
    [InlineData("kill", -OwnProcess, 0L, 0L, NotPermitted)]
    [InlineData("tgkill", OwnProcess, 9999L, 6L, Allowed)]
    [InlineData("tgkill", OwnProcess + 1, OwnProcess, 6L, NotPermitted)]
    [InlineData("clone", 0x3D0F00L, 0L, 0L, Allowed)] // a thread, as C libraries make it
    [InlineData("clone", 0x11L, 0L, 0L, NotPermitted)] // fork
    [InlineData("clone", 0x4111L, 0L, 0L, NotPermitted)] // vfork
    [InlineData("clone", 0x10000000L, 0L, 0L, NotPermitted)] // a namespace of users
    [InlineData("clone", 0x3D0F00L | 0x20000, 0L, 0L, NotPermitted)]
    [InlineData("clone", 0x3D0F00L & ~0x400, 0L, 0L, NotPermitted)] // a thread with descriptors of its own
    [InlineData("clone", 0x3D0F00L & ~0x200, 0L, 0L, NotPermitted)] // a thread with a working directory of its own
    [InlineData("close_range", 3L, 9L, 0L, Allowed)]
    [InlineData("close_range", 3L, 9L, 4L, Allowed)] // CLOSE_RANGE_CLOEXEC
    [InlineData("close_range", 3L, 9L, 2L, NotPermitted)] // CLOSE_RANGE_UNSHARE
    [InlineData("close_range", 3L, 9L, 6L, NotPermitted)]
    [InlineData("socketpair", 1L, 1L, 0L, Allowed)]
    [InlineData("socketpair", 1L, 1L | 0x80800, 0L, Allowed)] // close on exec, non-blocking
    [InlineData("socketpair", 1L, 2L, 0L, NotPermitted)]
    [InlineData("socketpair", 1L, 5L, 0L, NotPermitted)]
    [InlineData("socketpair", 16L, 1L, 0L, NotPermitted)]
    [InlineData("fcntl", 3L, 8L, 1L, NotPermitted)] // F_SETOWN
    [InlineData("fcntl", 3L, 1031L, 1L, Allowed)] // F_SETPIPE_SZ
    [InlineData("ioctl", 0L, 0x5412L, 0L, NotPermitted)]
    [InlineData("ioctl", 0L, 0x1_0000_5412L, 0L, NotPermitted)] // the kernel takes 32 bits
    [InlineData("ioctl", 0L, 0x5413L, 0L, Allowed)] // TIOCGWINSZ
    [InlineData("ioctl", 0L, 0x40806685L, 0L, NotPermitted)] // FS_IOC_ENABLE_VERITY
    [InlineData("ioctl", 0L, 0x800C6613L, 0L, NotPermitted)] // FS_IOC_SET_ENCRYPTION_POLICY
    [InlineData("ioctl", 0L, 0x40086604L, 0L, NotPermitted)] // EXT4_IOC_SETVERSION
    [InlineData("ioctl", 0L, 0x6609L, 0L, NotPermitted)] // EXT4_IOC_MIGRATE
    [InlineData("prctl", 4L, 1L, 0L, NotPermitted)]
    [InlineData("prctl", 36L, 0L, 0L, NotPermitted)] // PR_SET_CHILD_SUBREAPER
    [InlineData("prctl", 15L, 0L, 0L, Allowed)] // PR_SET_NAME
    [InlineData("prlimit64", 0L, 9L, 0L, Allowed)]
    [InlineData("prlimit64", OwnProcess, 9L, 0L, Allowed)]
    [InlineData("prlimit64", 0L, 9L, 0x7FFF_0000L, NotPermitted)]
    [InlineData("prlimit64", 0L, 9L, 0x1_0000_0000L, NotPermitted)] // a pointer whose lower half is 0
    [InlineData("prlimit64", 1L, 9L, 0L, NotPermitted)]
    [InlineData("setpriority", 0L, 0L, 19L, Allowed)]
    [InlineData("setpriority", 2L, 0L, 19L, NotPermitted)]
    [InlineData("sched_setaffinity", 1L, 0L, 0L, NotPermitted)]
    [InlineData("mkdirat", 3L, 0L, 0x1FFL, Allowed)]
    [InlineData("mkdirat", 3L, 0L, 0xC0L, NotPermitted)]
    [InlineData("umask", 0x12L, 0L, 0L, Allowed)]
    [InlineData("umask", 0x1FFL, 0L, 0L, NotPermitted)]
    public void Arguments_Decide(string name, long first, long second, long third, string answer)
    {
        Assert.Equal(answer, Answer(SyscallTable.X64, name, [first, second, third]));
        Assert.Equal(answer, Answer(SyscallTable.Arm64, name, [first, second, third]));
    }

    [Theory]
    [InlineData("fork")]
    [InlineData("vfork")]
    [InlineData("chmod")]
    [InlineData("utimes")]
    public void CallThatOnlyX64Has_IsRefused(string name)
    {
        Assert.Equal(NotPermitted, Answer(SyscallTable.X64, name));
        Assert.Null(SyscallTable.Arm64.Find(name));
    }

    [Fact]
    public void CallNewerThanTheTable_IsNotImplemented()
    {
        foreach (var table in new[] { SyscallTable.X64, SyscallTable.Arm64 })
        {
            Assert.Equal(Allowed, Run(table, SyscallTable.Newest, []));
            Assert.Equal(NotImplemented, Run(table, SyscallTable.Newest + 1, []));
            Assert.Equal(NotImplemented, Run(table, 463, [])); // setxattrat
        }
    }

    [Fact]
    public void CallOfAnotherArchitecture_EndsTheProcess()
    {
        Assert.Equal(Killed, Run(SyscallTable.X64, 1, [], architecture: X86));
        Assert.Equal(Killed, Run(SyscallTable.Arm64, 1, [], architecture: X64));
        Assert.Equal(Killed, Run(SyscallTable.X64, 1, [], architecture: Arm64));
        Assert.Equal(NotImplemented, Run(SyscallTable.X64, 0x4000_0000 + 1, []));
    }

    [Fact]
    public void Subprocesses_MayBeStartedButNotGivenAway()
    {
        Assert.Equal(Allowed, Answer(SyscallTable.X64, "execve", subprocesses: true));
        Assert.Equal(Allowed, Answer(SyscallTable.X64, "clone", [0x11], subprocesses: true));
        Assert.Equal(Allowed, Answer(SyscallTable.X64, "kill", [7], subprocesses: true));
        Assert.Equal(NotPermitted, Answer(SyscallTable.X64, "clone", [0x8011], subprocesses: true)); // CLONE_PARENT
        Assert.Equal(NotPermitted, Answer(SyscallTable.X64, "clone", [0x2000_0011], subprocesses: true));
        Assert.Equal(Allowed, Answer(SyscallTable.X64, "clone", [0x3D0F00], subprocesses: true));
        Assert.Equal(NotPermitted, Answer(SyscallTable.X64, "clone", [0x3D0F00 & ~0x400], subprocesses: true));

        // Before version 6 Landlock does not keep signals in.
        Assert.Equal(NotPermitted, Answer(SyscallTable.X64, "kill", [7], subprocesses: true, landlock: 5));
    }

    [Theory]
    [InlineData(2L, 1L, Allowed)]
    [InlineData(10L, 2L | 0x80000, Allowed)]
    [InlineData(2L, 3L, NotPermitted)] // raw
    [InlineData(1L, 1L, NotPermitted)]
    [InlineData(16L, 2L, NotPermitted)] // netlink
    [InlineData(17L, 2L, NotPermitted)] // packet
    [InlineData(40L, 1L, NotPermitted)] // vsock
    public void Network_IsTcpAndUdp(long family, long type, string answer)
    {
        Assert.Equal(answer, Answer(SyscallTable.X64, "socket", [family, type], network: true));
        Assert.Equal(Allowed, Answer(SyscallTable.X64, "connect", network: true));
    }

    [Theory]
    [InlineData("openat", 0x200L, NotPermitted)] // O_RDONLY | O_TRUNC
    [InlineData("openat", 0x241L, Allowed)] // O_WRONLY | O_CREAT | O_TRUNC
    [InlineData("openat", 0L, Allowed)]
    [InlineData("openat2", 0L, NotImplemented)]
    [InlineData("truncate", 0L, NotPermitted)]
    public void Truncation_IsRefusedWhereLandlockDoesNotKnowIt(string name, long flags, string answer)
    {
        Assert.Equal(answer, Answer(SyscallTable.X64, name, [0, 0, flags], landlock: 2));
        Assert.Equal(Allowed, Answer(SyscallTable.X64, name, [0, 0, flags], landlock: 3));
    }

    private static string Answer(SyscallTable table, string name, long[]? arguments = null, int landlock = 7, bool subprocesses = false, bool network = false) =>
        Run(table, table.Find(name)!.Value, arguments ?? [], landlock, subprocesses, network);

    private static string Run(SyscallTable table, int number, long[] arguments, int landlock = 7, bool subprocesses = false, bool network = false, uint? architecture = null)
    {
        var filter = SeccompRules.Build(table, landlock, subprocesses, network);
        var program = filter.ToProgram();
        foreach (var place in filter.ProcessIdAt)
        {
            BinaryPrimitives.WriteInt32LittleEndian(program.AsSpan((place * 8) + 4), OwnProcess);
        }

        // struct seccomp_data: number, architecture, instruction pointer, six arguments
        var data = new byte[64];
        BinaryPrimitives.WriteInt32LittleEndian(data, number);
        BinaryPrimitives.WriteUInt32LittleEndian(data.AsSpan(4), architecture ?? table.AuditArchitecture);
        for (var index = 0; index < arguments.Length; index++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(data.AsSpan(16 + (8 * index)), arguments[index]);
        }

        return Run(program, data) switch
        {
            0x7FFF_0000 => Allowed,
            0x0005_0001 => NotPermitted,
            0x0005_0026 => NotImplemented,
            0x8000_0000 => Killed,
            var other => $"{other:X}",
        };
    }

    private static uint Run(byte[] program, byte[] data)
    {
        uint accumulator = 0;
        for (var place = 0; ; place++)
        {
            var instruction = program.AsSpan(place * 8, 8);
            var value = BinaryPrimitives.ReadUInt32LittleEndian(instruction[4..]);
            bool? condition = null;
            switch (BinaryPrimitives.ReadUInt16LittleEndian(instruction))
            {
                case 0x20: accumulator = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan((int)value)); break;
                case 0x54: accumulator &= value; break;
                case 0x15: condition = accumulator == value; break;
                case 0x25: condition = accumulator > value; break;
                case 0x35: condition = accumulator >= value; break;
                case 0x45: condition = (accumulator & value) != 0; break;
                case 0x06: return value;
                default: throw new InvalidDataException($"instruction {place} is none that a filter may have");
            }

            place += condition is null ? 0 : condition.Value ? instruction[2] : instruction[3];
        }
    }
}
