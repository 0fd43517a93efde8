import shutil

attempt("unlink", lambda: os.unlink(W["victim"]))
attempt("rename", lambda: os.rename(W["victim"], W["victim"] + ".moved"))
attempt("move here", lambda: os.rename(W["victim"], "victim"))
attempt("replace", lambda: (write("mine"), os.replace("mine", W["victim"])))
attempt("directory", lambda: os.rmdir(os.path.join(W["directory"], "empty")))
attempt("tree", lambda: shutil.rmtree(W["directory"]))
attempt("unlink what may be read", lambda: os.unlink(W["readable"]))
attempt("exchange", lambda: (write("mine"), syscall(316, 276, -100, b"mine", -100, W["victim"].encode(), 2)))
