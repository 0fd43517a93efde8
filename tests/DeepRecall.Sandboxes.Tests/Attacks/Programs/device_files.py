# control: no
import stat

for path in ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/loop-control", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/ptmx", "/dev/tty", "/dev/full", "/dev/shm"):
    attempt(path, lambda: os.open(path, os.O_RDWR))
    attempt(path, lambda: os.open(path, os.O_RDONLY))
attempt("make a disk", lambda: os.mknod("disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)))
attempt("make memory", lambda: os.mknod("memory", 0o600 | stat.S_IFCHR, os.makedev(1, 1)))
attempt("terminal", lambda: os.openpty())
attempt("write to zero", lambda: os.open("/dev/zero", os.O_WRONLY))
