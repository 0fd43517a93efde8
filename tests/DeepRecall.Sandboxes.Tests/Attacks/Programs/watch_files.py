attempt("inotify", lambda: syscall(254, 27, syscall(294, 26, 0), W["directory"].encode(), 0xFFF))
attempt("fanotify", lambda: syscall(300, 262, 0x200, 0))
attempt("dnotify", lambda: __import__("fcntl").fcntl(os.open("/usr/lib", os.O_RDONLY), 1026, 1))
attempt("lease", lambda: __import__("fcntl").fcntl(os.open(W["readable"], os.O_RDONLY), 1024, 0))
