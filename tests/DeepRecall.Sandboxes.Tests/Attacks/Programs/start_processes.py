import multiprocessing, pty, subprocess, sys

attempt("subprocess", lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))
attempt("shell", lambda: subprocess.check_output("id", shell=True))
attempt("system", lambda: done(os.system("true") == 0))
attempt("popen", lambda: os.popen("id").read())
attempt("posix_spawn", lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], {}))
attempt("fork", lambda: os.fork() or os._exit(0))
attempt("pty", lambda: pty.fork()[0] or os._exit(0))
attempt("multiprocessing", lambda: multiprocessing.get_context("spawn").Process(target=print).start())
attempt("libc", lambda: done(libc.system(b"true") == 0))
