# control: no
import fcntl, termios

for descriptor in range(0, 64):
    attempt(f"type {descriptor}", lambda: fcntl.ioctl(descriptor, termios.TIOCSTI, b"x"))
    attempt(f"console {descriptor}", lambda: fcntl.ioctl(descriptor, 0x541C, b"\x02"))
attempt("terminal of the host", lambda: os.open("/dev/tty", os.O_RDWR))
