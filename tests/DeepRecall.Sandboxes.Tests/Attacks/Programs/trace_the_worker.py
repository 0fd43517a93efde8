# outcome: Any
# control: no
import sys, threading

seen = []

def trace(frame, event, argument):
    seen.append(frame.f_code.co_name)
    if frame.f_globals.get("__name__") == "deeprecall_worker":
        raise RuntimeError("from a trace")
    return trace

worker = sys.modules["deeprecall_worker"]
frame = sys._getframe()
while frame is not None:
    if frame.f_globals.get("__name__") == "deeprecall_worker":
        frame.f_trace = trace
    frame = frame.f_back
threading.settrace(trace)
threading.setprofile(trace)
sys.settrace(trace)
sys.setprofile(trace)
print("refused to be held up")
