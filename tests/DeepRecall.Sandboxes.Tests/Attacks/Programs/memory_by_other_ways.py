# control: no
import mmap, threading

GIB = 1 << 30
attempt("one block", lambda: len(bytearray(8 * GIB)))
attempt("private mapping", lambda: len(mmap.mmap(-1, 8 * GIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)))
attempt("shared mapping", lambda: len(mmap.mmap(-1, 8 * GIB)))
attempt("malloc", lambda: done(ctypes.CDLL(None).malloc(ctypes.c_size_t(8 * GIB))))
attempt("locked", lambda: len(mmap.mmap(-1, 8 * GIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x2000)))
attempt("in memory files", lambda: os.memfd_create("planted"))
attempt("in shared memory", lambda: write("/dev/shm/planted"))
taken = []

def take():
    try:
        while True:
            taken.append(bytearray(1 << 20))
    except MemoryError:
        pass

threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
size = len(taken)
taken.clear()
print("GAINED" if size > 2048 else "refused more than", size, "MiB in threads")
