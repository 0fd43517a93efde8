import fcntl, signal, socket

first, second = socket.socketpair()
for process in (W["sibling"], -W["sibling"]):
    attempt("owner", lambda: fcntl.fcntl(first, fcntl.F_SETOWN, process))
    attempt("owner by ioctl", lambda: fcntl.ioctl(first, 0x8901, process.to_bytes(4, "little", signed=True)))
    attempt("process group by ioctl", lambda: fcntl.ioctl(first, 0x8902, process.to_bytes(4, "little", signed=True)))
    attempt("owner, extended", lambda: fcntl.fcntl(first, 15, (1).to_bytes(4, "little") + abs(process).to_bytes(4, "little")))
    attempt("signal", lambda: fcntl.fcntl(first, 10, signal.SIGKILL))
    fcntl.fcntl(first, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    second.send(b"x")
    first.recv(1)
