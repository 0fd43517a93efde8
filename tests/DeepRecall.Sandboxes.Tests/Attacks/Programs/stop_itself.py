# says: killed
# outcome: Died
# control: no
import signal

print("refused")
os.kill(os.getpid(), signal.SIGSTOP)
