for path in ("/", "/etc", "/tmp", "/home", "/proc", "/sys", "/dev", "/var", "/run", "/opt", W["directory"], ".."):
    attempt(path, lambda: os.listdir(path))
attempt("walk", lambda: next(os.walk("/", onerror=lambda error: (_ for _ in ()).throw(error))))
