# control: no
import gc

worker = __import__("sys").modules["deeprecall_worker"]
channel = next(each for each in gc.get_objects() if isinstance(each, worker.Channel))
for name in ("no_such_function", "execute", "initialize", "__class__", "../llm_query", "", "search_db"):
    attempt(f"call {name}", lambda: channel.call(name, {"prompt": "x"}), (RuntimeError,))
attempt("arguments that are none", lambda: channel.call("no_such_function", [1, 2, 3]), (RuntimeError,))
attempt("a message past the limit", lambda: channel.send({"x": "y" * (80 << 20)}), (RuntimeError, ValueError))
