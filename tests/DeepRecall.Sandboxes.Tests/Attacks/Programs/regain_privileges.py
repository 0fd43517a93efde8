# control: no
attempt("new privileges", lambda: syscall(157, 167, 38, 0, 0, 0, 0))
attempt("dumpable", lambda: syscall(157, 167, 4, 1, 0, 0, 0))
attempt("capabilities", lambda: syscall(126, 91, (0x20080522).to_bytes(4, "little") + bytes(4), b"\xff" * 8 + bytes(16)))
attempt("ambient capability", lambda: syscall(157, 167, 47, 2, 21, 0, 0))
attempt("another user", lambda: os.setuid(os.getuid() + 1))
attempt("other groups", lambda: os.setgroups([0, 42]))
attempt("no filter", lambda: syscall(317, 277, 1, 0, 0))
allow = ctypes.create_string_buffer((6).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little"), 8)
program = (1).to_bytes(2, "little") + bytes(6) + ctypes.addressof(allow).to_bytes(8, "little")
syscall(317, 277, 1, 0, program)  # another filter may be added, and loosens nothing
attempt("process under a looser filter", os.fork)
ruleset = syscall(444, 444, (1 << 13).to_bytes(8, "little"), 8, 0)
syscall(446, 446, ruleset, 0)  # as may another ruleset
attempt("file under a looser ruleset", lambda: read(W["secret"]))
