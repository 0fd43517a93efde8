# control: no
for family in range(0, 46):
    for kind in (1, 2, 3, 5, 10):
        attempt(f"socket {family} {kind}", lambda: syscall(41, 198, family, kind, 0))
        if (family, kind) != (1, 1):  # a pair of streams, which reaches nobody
            attempt(f"pair {family} {kind}", lambda: syscall(53, 199, family, kind, 0, ctypes.create_string_buffer(8)))
