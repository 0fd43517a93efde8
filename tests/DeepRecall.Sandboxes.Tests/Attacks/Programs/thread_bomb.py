# says: ThreadLimit
# outcome: Died
# control: no
import threading

threading.stack_size(64 * 1024)
held = threading.Event()
while True:
    try:
        threading.Thread(target=held.wait, daemon=True).start()
    except (RuntimeError, MemoryError):
        held.wait(0.01)
