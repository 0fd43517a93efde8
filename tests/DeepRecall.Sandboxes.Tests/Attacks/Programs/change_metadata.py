import time

for path in (W["victim"], W["readable"]):
    attempt("chmod", lambda: os.chmod(path, 0o777))
    attempt("raw chmod", lambda: syscall(90, -1, path.encode(), 0o777))
    attempt("raw fchmodat", lambda: syscall(268, 53, -100, path.encode(), 0o777))
    attempt("raw fchmodat2", lambda: syscall(452, 452, -100, path.encode(), 0o777, 0))
    attempt("chown", lambda: os.chown(path, os.getuid(), os.getgid()))
    attempt("lchown", lambda: os.lchown(path, os.getuid(), os.getgid()))
    attempt("utime", lambda: os.utime(path, (1, 1)))
    attempt("raw utimensat", lambda: syscall(280, 88, -100, path.encode(), 0, 0))
    attempt("attribute", lambda: os.setxattr(path, "user.planted", b"x"))
    attempt("raw attribute", lambda: syscall(188, 5, path.encode(), b"user.planted", b"x", 1, 0))
readable = os.open(W["readable"], os.O_RDONLY)
attempt("fchmod", lambda: os.fchmod(readable, 0o777))
attempt("futimens", lambda: os.utime(readable, (1, 1)))
attempt("fsetxattr", lambda: os.setxattr(readable, "user.planted", b"x"))
flags = ctypes.create_string_buffer(8)
flags[0] = 0x40  # nodump
attempt("flags", lambda: syscall(16, 29, readable, 0x40086602, flags))
attempt("more flags", lambda: syscall(16, 29, readable, 0x401C5820, ctypes.create_string_buffer(28)))
