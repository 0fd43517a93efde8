# control: no
import resource

for limit in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
    soft, hard = resource.getrlimit(limit)
    attempt(f"raise {limit}", lambda: resource.setrlimit(limit, (hard, hard)), (ValueError,))
    attempt(f"lift {limit}", lambda: resource.setrlimit(limit, (-1, -1)), (ValueError,))
    attempt(f"raw {limit}", lambda: syscall(160, 164, limit, (ctypes.c_uint64 * 2)(2**64 - 1, 2**64 - 1)))
    attempt(f"raw prlimit {limit}", lambda: syscall(302, 261, 0, limit, (ctypes.c_uint64 * 2)(2**64 - 1, 2**64 - 1), 0))
    attempt(f"raw prlimit of itself {limit}", lambda: syscall(302, 261, os.getpid(), limit, (ctypes.c_uint64 * 2)(hard & (2**64 - 1), hard & (2**64 - 1)), 0))
