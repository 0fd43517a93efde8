import mmap, pathlib

attempt("open", lambda: read(W["secret"]))
attempt("pathlib", lambda: pathlib.Path(W["secret"]).read_text())
attempt("descriptor", lambda: os.read(os.open(W["secret"], os.O_RDONLY), 100))
attempt("openat", lambda: os.read(os.open("secret.txt", os.O_RDONLY, dir_fd=os.open(W["directory"], os.O_PATH)), 100))
attempt("raw openat", lambda: os.read(syscall(257, 56, -100, W["secret"].encode(), 0, 0), 100))
attempt("raw openat2", lambda: os.read(syscall(437, 437, -100, W["secret"].encode(), bytes(24), 24), 100))
attempt("mmap", lambda: mmap.mmap(os.open(W["secret"], os.O_RDWR), 0)[:])
attempt("import", lambda: __import__("runpy").run_path(W["secret"]))
attempt("sendfile", lambda: os.sendfile(os.open("copy", os.O_WRONLY | os.O_CREAT), os.open(W["secret"], os.O_RDONLY), 0, 100))
