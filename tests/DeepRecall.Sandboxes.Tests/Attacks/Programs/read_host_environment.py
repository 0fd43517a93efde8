for process in (os.getppid(), W["sibling"], W["other_worker"], "self", "thread-self", 1):
    for name in ("environ", "mem", "maps", "cmdline", "fd", "root", "cwd", "stat", "task"):
        if name == "cwd" and process in ("self", "thread-self"):
            continue  # the scratch directory
        path = f"/proc/{process}/{name}"
        attempt(path, lambda: os.listdir(path) if os.path.isdir(path) else read(path))
attempt("list of processes", lambda: os.listdir("/proc"))
