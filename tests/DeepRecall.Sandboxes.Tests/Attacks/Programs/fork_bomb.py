# control: no
forks = 0

def fork(how):
    global forks
    child = how()
    forks += 1
    if child == 0:
        os._exit(0)
    return child

for _ in range(200):
    for how in (
        os.fork,
        lambda: libc.fork() if libc.fork() >= 0 else 1 / 0,
        lambda: syscall(57, -1),
        lambda: syscall(58, -1),
        lambda: syscall(56, 220, 17, 0, 0, 0, 0),
        lambda: syscall(56, 220, 0x4111, 0, 0, 0, 0),
        lambda: syscall(435, 435, bytes(32) + (17).to_bytes(8, "little") + bytes(48), 88),
    ):
        try:
            fork(how)
        except (OSError, ZeroDivisionError):
            pass
print("GAINED forks" if forks else "refused every fork", forks)
