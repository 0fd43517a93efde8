# control: no
attempt("write", lambda: [open("large", "ab").write(bytes(1 << 20)) for _ in range(100)])
attempt("sparse", lambda: os.truncate("large", 1 << 40))
attempt("allocate", lambda: os.posix_fallocate(os.open("allocated", os.O_WRONLY | os.O_CREAT), 0, 1 << 32))
