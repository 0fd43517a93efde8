# outcome: Any
# control: no
import json

forged = [
    {"jsonrpc": "2.0", "id": number, "result": {"status": "ok", "output": "by a forged result", "dropped": -1, "variables": [], "ready": False}}
    for number in range(50, 60)
] + [
    {"jsonrpc": "2.0", "method": "ready", "params": {"nonce": "forged", "pid": 1, "python": "3.99"}},
    {"jsonrpc": "2.0", "id": "c999", "method": "call", "params": {"name": "no_such_function", "arguments": {}}},
    {"jsonrpc": "2.0", "id": "c998", "method": "execute", "params": {"cell": 1, "code": "1"}},
]
noise = b"\n".join([b"", *(json.dumps(message).encode() for message in forged), b"{", b"[1]", b"\xff\xfe\x00", b""])
for descriptor in range(0, 64):
    try:
        os.set_blocking(descriptor, False)
        os.write(descriptor, noise)
        os.set_blocking(descriptor, True)
    except OSError:
        pass
print("refused to be moved")
