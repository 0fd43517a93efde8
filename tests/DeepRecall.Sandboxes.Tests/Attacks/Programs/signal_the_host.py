# control: no
import signal

HARMLESS = signal.SIGURG  # which is ignored where nobody asked for it
for process in (os.getppid(), W["host"], -os.getppid(), 0, -1, 1, W["other_worker"]):
    for number in (0, HARMLESS):
        attempt(f"kill {process} {number}", lambda: os.kill(process, number))
attempt("tkill", lambda: syscall(200, 130, W["host"], HARMLESS))
attempt("tgkill", lambda: syscall(234, 131, W["host"], W["host"], HARMLESS))
attempt("sigqueue", lambda: syscall(129, 138, W["host"], HARMLESS, bytes(128)))
attempt("pidfd", lambda: syscall(424, 424, syscall(434, 434, W["host"], 0), HARMLESS, 0, 0))
attempt("descriptor of the host", lambda: syscall(438, 438, syscall(434, 434, W["host"], 0), 0, 0))
