# control: no
import sys, threading

def flood(write):
    for _ in range(300):
        write(b"x" * 65536)

threads = [threading.Thread(target=flood, args=(sys.stdout.buffer.write,)), threading.Thread(target=flood, args=(lambda data: os.write(1, data),))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("refused to fill the host")
