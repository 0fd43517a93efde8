for source in (W["secret"], W["victim"], W["readable"]):
    target = "link-" + os.path.basename(source)
    attempt(f"link {source}", lambda: os.link(source, target))
    attempt(f"link by descriptor {source}", lambda: os.link(f"/proc/self/fd/{os.open(source, os.O_PATH)}", target + "2", follow_symlinks=True))
    attempt(f"link of an empty path {source}", lambda: syscall(265, 37, os.open(source, os.O_PATH), b"", -100, (target + "3").encode(), 0x1000))
write("mine")
attempt("link outwards", lambda: os.link("mine", os.path.join(W["directory"], "planted")))
