for path in (W["victim"], W["readable"]):
    attempt("truncate", lambda: os.truncate(path, 0))
    attempt("open", lambda: os.open(path, os.O_WRONLY | os.O_TRUNC))
    attempt("open for reading", lambda: os.close(os.open(path, os.O_RDONLY | os.O_TRUNC)))
    attempt("create", lambda: syscall(85, -1, path.encode(), 0o600))
    attempt("by descriptor", lambda: os.ftruncate(os.open(path, os.O_RDONLY), 0))
    attempt("fallocate", lambda: os.posix_fallocate(os.open(path, os.O_RDONLY), 0, 100_000))
    attempt("by path of a descriptor", lambda: os.open(f"/proc/self/fd/{os.open(path, os.O_PATH)}", os.O_WRONLY | os.O_TRUNC))
