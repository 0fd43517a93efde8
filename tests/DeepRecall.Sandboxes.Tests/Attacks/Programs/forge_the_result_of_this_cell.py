# outcome: Any
# control: no
import gc, json

worker = __import__("sys").modules["deeprecall_worker"]
session = next(each for each in gc.get_objects() if isinstance(each, worker.Session))
for number in session.accepted:
    session.channel.send({"jsonrpc": "2.0", "id": number, "result": {"status": "ok", "output": "forged\n", "dropped": 0, "variables": ["x"] * 10_000, "ready": False}})
    session.channel.send({"jsonrpc": "2.0", "id": number, "error": {"code": 1, "message": "forged again"}})
print("refused to be believed twice")
