# outcome: Any
# control: no
import sys, threading

seen = []

def trace(frame, event, argument):
    for name, value in frame.f_locals.items():
        if "nonce" in name or "secret" in name:
            seen.append((name, value))
    return trace

sys.settrace(trace)
sys.setprofile(trace)
threading.settrace(trace)
frame = sys._getframe()
while frame is not None:
    frame.f_trace = trace
    frame = frame.f_back
print("refused to tell", [value for value in seen if W["token"] in str(value)])
