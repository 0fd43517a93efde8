# control: no
import atexit, gc, signal, sys, threading, weakref

def stay(*arguments):
    while True:
        try:
            threading.Event().wait()
        except BaseException:
            pass

for number in range(1, 65):
    try:
        signal.signal(number, stay)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
atexit.register(stay)
threading._register_atexit(stay) if hasattr(threading, "_register_atexit") else None
sys.excepthook = threading.excepthook = sys.unraisablehook = stay
keep = type("Keep", (), {"__del__": stay})()
weakref.finalize(keep, stay)
print("refused to go")
