import signal

attempt("kill", lambda: os.kill(W["sibling"], signal.SIGKILL))
attempt("raw kill", lambda: syscall(62, 129, W["sibling"], 9))
attempt("pidfd", lambda: signal.pidfd_send_signal(os.pidfd_open(W["sibling"]), signal.SIGKILL))
attempt("group", lambda: os.killpg(os.getpgid(W["sibling"]), 0))
attempt("stop", lambda: os.kill(W["other_worker"], signal.SIGSTOP))
