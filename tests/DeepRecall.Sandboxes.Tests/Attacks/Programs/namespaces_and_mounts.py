# control: no
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80, 0x10020000):
    attempt(f"unshare {flag:x}", lambda: syscall(272, 97, flag))
    attempt(f"clone {flag:x}", lambda: syscall(56, 220, flag | 17, 0, 0, 0, 0) or os._exit(0))
attempt("mount", lambda: syscall(165, 40, b"tmpfs", os.getcwd().encode(), b"tmpfs", 0, 0))
attempt("bind", lambda: syscall(165, 40, b"/", os.getcwd().encode(), 0, 4096, 0))
attempt("move mount", lambda: syscall(429, 429, -100, b"/", -100, os.getcwd().encode(), 0))
attempt("open tree", lambda: syscall(428, 428, -100, b"/", 1))
attempt("new file system", lambda: syscall(430, 430, b"tmpfs", 0))
attempt("unmount", lambda: syscall(166, 39, b"/", 2))
attempt("pivot", lambda: syscall(155, 41, b".", b"."))
attempt("chroot", lambda: os.chroot("."))
attempt("join", lambda: syscall(308, 268, 0, 0))
attempt("mount attributes", lambda: syscall(442, 442, -100, b"/", 0, bytes(32), 32))
