# control: no
import sys

attempt("execv", lambda: os.execv(sys.executable, [sys.executable, "-c", "print('new')"]))
attempt("raw execve", lambda: syscall(59, 221, sys.executable.encode(), 0, 0))
attempt("raw execveat", lambda: syscall(322, 281, os.open(sys.executable, os.O_PATH), b"", 0, 0, 0x1000))
attempt("memory", lambda: os.memfd_create("planted"))
attempt("secret memory", lambda: syscall(447, 447, 0))
with open("program", "wb") as file:
    file.write(b"#!/bin/sh\ntrue\n")
attempt("a file of its own", lambda: os.execv("./program", ["program"]))
attempt("set-user-id", lambda: os.execv("/usr/bin/su", ["su"]))
