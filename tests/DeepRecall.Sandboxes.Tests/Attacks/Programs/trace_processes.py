# control: no
for process in (W["sibling"], W["host"], W["other_worker"]):
    attempt(f"attach {process}", lambda: syscall(101, 117, 16, process, 0, 0))
    attempt(f"seize {process}", lambda: syscall(101, 117, 0x4206, process, 0, 0))
    target = (ctypes.c_uint64 * 2)(0x400000, 8)
    attempt(f"read {process}", lambda: syscall(310, 270, process, target, 1, target, 1, 0))
    attempt(f"write {process}", lambda: syscall(311, 271, process, target, 1, target, 1, 0))
    attempt(f"compare {process}", lambda: syscall(312, 272, os.getpid(), process, 0, 0, 0))
attempt("trace me", lambda: syscall(101, 117, 0, 0, 0, 0))
