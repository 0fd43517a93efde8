# outcome: Died
# says: its worker failed
# control: no
import gc, sys

worker = sys.modules["deeprecall_worker"]
session = next(each for each in gc.get_objects() if isinstance(each, worker.Session))
session.read_answer = lambda: {"ready": False, "content": 5, "note": ["no text"]}
session.namespace.variables = lambda: 7
session.output_limit = 1 << 40
session.channel.max_message_bytes = 1 << 40
session.capture.finish = lambda: None
session.methods.clear()
print("refused")
