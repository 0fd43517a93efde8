for place in (W["directory"], "/tmp", "/var/tmp", "/dev/shm", os.path.dirname(os.getcwd()), "..", "/"):
    path = os.path.join(place, f"planted-{os.getpid()}")
    attempt(f"write {place}", lambda: (write(path), os.unlink(path)))
    attempt(f"directory {place}", lambda: (os.mkdir(path), os.rmdir(path)))
    attempt(f"unnamed {place}", lambda: os.write(os.open(place, os.O_TMPFILE | os.O_WRONLY), b"x"))
attempt("append", lambda: write(W["victim"], "ab"))
attempt("overwrite", lambda: write(W["victim"]))
attempt("existing, for reading and writing", lambda: write(W["readable"], "r+b"))
