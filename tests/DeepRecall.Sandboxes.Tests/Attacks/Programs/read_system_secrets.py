# control: no
import glob, pwd

for path in ("/etc/shadow", "/etc/passwd", "/etc/sudoers", "/etc/hosts", "/etc/resolv.conf", "/etc/machine-id", "/root/.bashrc", "/boot", "/sys/class", "/run", "/var/log"):
    attempt(path, lambda: os.listdir(path) if os.path.isdir(path) else read(path))
attempt("homes", lambda: os.listdir("/home"))
attempt("home of root", lambda: os.listdir("/root"))
attempt("keys", lambda: done([read(path) for path in glob.glob("/root/.ssh/*") + glob.glob("/home/*/.ssh/*")]))
attempt("users", lambda: done(pwd.getpwall()))
