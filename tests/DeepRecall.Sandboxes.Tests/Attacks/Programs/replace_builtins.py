# outcome: Died
# says: exit code 1
# control: no
import builtins, io, json, sys, threading, traceback

def refuse(*arguments, **named):
    raise RuntimeError("replaced")

print("refused", flush=True)
for name in ("print", "len", "isinstance", "compile", "exec", "eval", "open", "str", "dict", "repr", "bool", "__import__"):
    setattr(builtins, name, refuse)
for module, name in ((json, "dumps"), (json, "loads"), (os, "write"), (os, "read"), (traceback, "TracebackException"), (threading, "Lock"), (sys, "exc_info")):
    setattr(module, name, refuse)
