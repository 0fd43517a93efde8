attempt("directory without rights", lambda: os.mkdir("closed", 0o300))
attempt("raw directory without rights", lambda: syscall(258, 34, -100, b"closed2", 0))
attempt("mask", lambda: syscall(95, 166, 0o777))
attempt("mode", lambda: (os.mkdir("open"), os.chmod("open", 0)))
