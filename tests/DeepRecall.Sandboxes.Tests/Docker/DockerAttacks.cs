namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>Programs that must come to an exception; one that comes to its end got what it wanted.</summary>
internal static class DockerAttacks
{
    /// <summary>A system call by its number for x86_64, for what Python has no function; an error is an OSError.</summary>
    public const string Prelude = """
        import ctypes, os, socket, sys
        libc = ctypes.CDLL(None, use_errno=True)
        def syscall(number, *arguments):
            result = libc.syscall(number, *arguments)
            if result < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            return result
        def nothing(found):
            if not found:
                raise LookupError("nothing there")
            print(found)
        """;

    public static IReadOnlyDictionary<string, string> Files { get; } = new Dictionary<string, string>
    {
        ["write into the root"] = "open('/x', 'w')",
        ["write a configuration"] = "open('/etc/passwd', 'a')",
        ["write into Python's library"] = "open(os.path.join(os.path.dirname(os.__file__), 'site.py'), 'a')",
        ["write beside the uploads"] = "open('/deeprecall/x', 'w')",
        ["write as root into a home"] = "open('/root/x', 'w')",
        ["remount the root"] = "if libc.mount(b'none', b'/', None, 0x20, None): raise OSError(ctypes.get_errno())",
        ["mount a file system"] = "if libc.mount(b'proc', b'/tmp', b'proc', 0, None): raise OSError(ctypes.get_errno())",
        ["make a device of a disk"] = "os.mknod('/tmp/vda', 0o60666, os.makedev(254, 0))\nopen('/tmp/vda', 'rb').read(1) or nothing(None)",
        ["find a disk"] = "nothing([name for name in os.listdir('/dev') if name.startswith(('sd', 'vd', 'nvme', 'mem', 'kmem', 'port'))])",
        ["find the engine's socket"] = "nothing([path for path in ('/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock') if os.path.exists(path)])",
        ["fill the scratch beyond its size"] = "with open('/tmp/big', 'wb') as file:\n    try:\n        for i in range(100):\n            file.write(b'x' * (1 << 20))\n    finally:\n        os.unlink('/tmp/big')",
        ["run a program from the scratch"] = "import shutil\nshutil.copy(sys.executable, '/tmp/python')\nimport subprocess\nsubprocess.run(['/tmp/python', '-c', 'print(1)'], check=True)",
    };

    public static IReadOnlyDictionary<string, string> Network { get; } = new Dictionary<string, string>
    {
        ["reach an address"] = "socket.create_connection(('1.1.1.1', 53), timeout=5)",
        ["reach an address of version 6"] = "socket.create_connection(('2606:4700:4700::1111', 53), timeout=5)",
        ["send to an address"] = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
        ["look up a name"] = "socket.getaddrinfo('example.com', 443)",
        ["ask the cloud for keys"] = "socket.create_connection(('169.254.169.254', 80), timeout=5)",
        ["reach the engine's bridge"] = "socket.create_connection(('172.17.0.1', 2375), timeout=5)",
        ["listen to the wire"] = "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)",
        ["forge packets"] = "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
        ["have an interface"] = "nothing([name for _, name in socket.if_nameindex() if name != 'lo'])",
    };

    public static IReadOnlyDictionary<string, string> Processes { get; } = new Dictionary<string, string>
    {
        ["become root"] = "os.setuid(0)",
        ["become another group"] = "os.setgid(0)",
        ["see the host's processes"] = "nothing([pid for pid in map(int, filter(str.isdigit, os.listdir('/proc'))) if b'dotnet' in open(f'/proc/{pid}/cmdline', 'rb').read()])",
        ["go faster than the others"] = "os.nice(-5)",
        ["set the clock"] = "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)",
        ["name the machine"] = "socket.sethostname('mine')",
    };

    public static IReadOnlyDictionary<string, string> Escapes { get; } = new Dictionary<string, string>
    {
        ["write the kernel's core pattern"] = "open('/proc/sys/kernel/core_pattern', 'w')",
        ["write the kernel's request key"] = "open('/proc/sysrq-trigger', 'w')",
        ["write a cgroup's release agent"] = "nothing([open(os.path.join(root, name), 'w') for root, _, names in os.walk('/sys/fs/cgroup') for name in names if name == 'release_agent'])",
        ["replace the program of the first process"] = "open('/proc/1/exe', 'r+b')",
        ["make a user namespace"] = "syscall(272, 0x10000000)\nopen('/proc/self/uid_map', 'w').write('0 65534 1')\nif libc.mount(b'none', b'/tmp', b'tmpfs', 0, None): raise OSError(ctypes.get_errno())",
        ["enter the first process's namespace"] = "syscall(308, os.open('/proc/1/ns/mnt', os.O_RDONLY), 0)",
        ["open a file by its handle"] = "syscall(304, -100, ctypes.create_string_buffer(b'\\x08\\0\\0\\0\\x01\\0\\0\\0\\x02' + bytes(16)), 0)",
        ["load a module"] = "syscall(175, 0, 0, b'')",
        ["load a program into the kernel"] = "syscall(321, 5, ctypes.create_string_buffer(128), 128)",
        ["read the kernel's memory"] = "open('/proc/kcore', 'rb').read(1) or nothing(None)",
        ["change the root"] = "os.chroot('/tmp')",
        ["restart the machine"] = "syscall(169, 0xfee1dead, 672274793, 0x89abcdef, 0)",
    };
}
