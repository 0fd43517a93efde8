other = W["other_scratch"]
attempt("list", lambda: os.listdir(other))
attempt("read", lambda: read(os.path.join(other, "mine.txt")))
attempt("write", lambda: write(os.path.join(other, "planted.txt")))
attempt("list of scratches", lambda: os.listdir(os.path.dirname(other)))
attempt("relative", lambda: read(os.path.join("..", os.path.basename(other), "mine.txt")))
attempt("move", lambda: os.rename(os.path.join(other, "mine.txt"), "mine.txt"))
