"""The worker of DeepRecall.Extensions: a Python REPL that a host drives over one pair of byte streams.

The protocol is JSON-RPC 2.0, one message per line, in UTF-8; both sides may call.

host -> worker   initialize, begin, set_context, set_variable, execute, shutdown; notifications interrupt, resume
worker -> host   call (a host function); notifications ready, output

The worker writes nothing but messages to the stream it was started with: before anything else it moves that
stream to a private descriptor and points descriptors 1 and 2 at a pipe of its own, so that whatever code in
the REPL prints, by whatever way, is output and never a message. Standard library only; Python 3.9 or newer.
"""

from __future__ import annotations

import _signal  # of which signal is a slower form: its functions look names up in enums
import _thread
import ast
import codecs
import io
import json
import linecache
import os
import select
import signal
import sys
import threading
import time
import traceback
import types
from collections import OrderedDict, deque
from typing import Any, Callable, Optional

Message = "dict[str, Any]"


# --- Interrupts ------------------------------------------------------------------------------------------


class InterruptGate:
    """Lets SIGINT end a cell, and only a cell.

    While the main thread runs the worker's own code the interrupt waits, so that no message is cut in two
    and no lock stays taken; used as a context manager around that code.
    """

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._handler = self._on_signal  # one object, to know it again
        self._depth = 0
        self._pending = False
        self._armed = False

    def install(self) -> None:
        """Takes the signal, again if code in the REPL took it."""
        if _signal.getsignal(_signal.SIGINT) is not self._handler:
            _signal.signal(_signal.SIGINT, self._handler)

    def arm(self) -> None:
        self._pending = False
        self._armed = True

    def disarm(self) -> None:
        self._armed = False
        self._pending = False

    def _on_signal(self, signum: int, frame: Any) -> None:
        if not self._armed:
            return
        if self._depth:
            self._pending = True
        else:
            raise KeyboardInterrupt

    def __enter__(self) -> None:
        if threading.get_ident() == self._main:
            self._depth += 1

    def __exit__(self, *error: Any) -> None:
        if threading.get_ident() == self._main:
            self._depth -= 1
            if self._pending and self._armed and not self._depth:
                self._pending = False
                raise KeyboardInterrupt


# --- Protocol --------------------------------------------------------------------------------------------


class MessageTooLarge(ValueError):
    """A message is longer than the host accepts."""


def _make_encoder() -> Callable[[Message], str]:
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    make = json.encoder.c_make_encoder
    if make is None:
        return encoder.encode
    # What encode() builds anew for each value, built once.
    chunks = make(None, encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


_to_json = _make_encoder()
_from_json = json.JSONDecoder().scan_once


def encode(message: Message) -> bytes:
    """One line of JSON; what UTF-8 cannot hold (a lone surrogate) becomes U+FFFD."""
    text = _to_json(message)
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8") + b"\n"


class Waiter:
    """A thread that waits for a message: for the answer to its call, or, as the main thread, for a request."""

    __slots__ = ("reply", "sent", "_wake")

    def __init__(self, sent: bytes = b"") -> None:
        self.reply: Optional[Message] = None
        self.sent = sent
        self._wake = _thread.allocate_lock()
        self._wake.acquire()

    def wake(self) -> None:
        try:
            self._wake.release()
        except RuntimeError:  # it was woken already and has not slept since
            pass

    def sleep(self) -> None:
        self._wake.acquire()


class Channel:
    """Writes messages, reads messages, and matches answers to calls; safe from any thread.

    There is no reading thread: of the threads that wait, one reads for all (and so wakes without a detour), and
    hands that role on when its own message has come. A cell that computes and waits for nothing reads nothing;
    what must reach it all the same comes as a signal (interrupt) or as a hang-up (the end of the host).
    """

    def __init__(self, read_fd: int, write_fd: int, gate: InterruptGate) -> None:
        self._reader = os.fdopen(read_fd, "rb", buffering=1 << 16)
        self._write_fd = write_fd
        self._gate = gate
        self._write_lock = threading.Lock()
        self._lead = _thread.allocate_lock()
        self._calls: dict[str, Waiter] = {}
        self._next_call = 0
        self._requests: deque[Message] = deque()
        self._idle = Waiter()
        self.on_request: Callable[[Message], bool] = lambda message: True
        self.on_end: Callable[[], None] = lambda: None
        self.max_message_bytes = 64 << 20
        self.closed = False

    def watch(self) -> None:
        """Sees the end of the host while nobody reads."""
        watch = self._watch if hasattr(select, "poll") else self._read_always
        threading.Thread(target=watch, name="repl-protocol", daemon=True).start()

    def _watch(self) -> None:
        poller = select.poll()
        poller.register(self._reader.fileno(), 0)  # no event asked for: only a hang-up or an error returns
        poller.poll()
        if not self.closed:
            self.on_end()

    def _read_always(self) -> None:
        """Where a hang-up cannot be waited for (Windows), one thread has the reading role for good."""
        with self._lead:
            while True:
                self._read_one()

    def begin(self) -> None:
        """Ends whatever a shell or a cut may have left on the line, so that the next message has one of its own."""
        self._write(b"\n")

    def send(self, message: Message) -> None:
        data = self._encode(message, "the message")
        with self._gate:
            self._write(data)

    def call(self, name: str, arguments: Message) -> Any:
        """Calls a host function and waits for its answer; raises what the host reports as an error.

        An interrupt does not tear the wait: the host answers what it cancels, and then the interrupt is raised.
        """
        if self.closed:
            raise RuntimeError(f"{name} is not available in a forked process")
        with self._gate:
            with self._write_lock:
                self._next_call += 1
                call_id = f"c{self._next_call}"
            request = {"jsonrpc": "2.0", "id": call_id, "method": "call"}
            request["params"] = {"name": name, "arguments": arguments}
            waiter = Waiter(self._encode(request, f"the call of {name}"))
            self._calls[call_id] = waiter
            try:
                self._write(waiter.sent)
                self._wait(waiter)
            finally:
                del self._calls[call_id]
        reply = waiter.reply or {}
        error = reply.get("error")
        if error is not None:
            raise RuntimeError(error.get("message", "the host reported an error"))
        return reply.get("result")

    def next_request(self) -> Message:
        while not self._requests:
            self._idle.reply = None
            self._wait(self._idle)
        return self._requests.popleft()

    def resume(self) -> None:
        """Sends every unanswered call once more; the host answers a repeated id from memory."""
        self.begin()
        for waiter in list(self._calls.values()):
            self._write(waiter.sent)

    def detach(self) -> None:
        """In a forked child: the protocol belongs to the parent alone."""
        self.closed = True
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, self._write_fd, inheritable=False)
        os.dup2(null, self._reader.fileno(), inheritable=False)
        os.close(null)

    def _wait(self, waiter: Waiter) -> None:
        while waiter.reply is None:
            if self._lead.acquire(False):
                try:
                    while waiter.reply is None:
                        self._read_one()
                finally:
                    self._lead.release()
                    self._hand_on()
            else:
                waiter.sleep()

    def _hand_on(self) -> None:
        for other in list(self._calls.values()):
            if other.reply is None:
                other.wake()
                return
        self._idle.wake()

    def _read_one(self) -> None:
        line = self._reader.readline()
        if not line:
            self.on_end()
        try:
            message, _ = _from_json(line.decode("utf-8"), 0)
        except (ValueError, StopIteration):
            return  # noise on the line; the next line is whole again
        if not isinstance(message, dict):
            return
        if "method" not in message:
            waiter = self._calls.get(message.get("id"))
            if waiter is not None and waiter.reply is None:
                waiter.reply = message
                waiter.wake()
        elif self.on_request(message):
            self._requests.append(message)
            self._idle.reply = message
            self._idle.wake()

    def _encode(self, message: Message, what: str) -> bytes:
        data = encode(message)
        if len(data) > self.max_message_bytes:
            raise MessageTooLarge(f"{what} has {len(data):,} bytes, the limit is {self.max_message_bytes:,} bytes")
        return data

    def _write(self, data: bytes) -> None:
        with self._write_lock:
            written = os.write(self._write_fd, data)
            if written < len(data):
                rest = memoryview(data)[written:]
                while rest:
                    rest = rest[os.write(self._write_fd, rest) :]


# --- Capture ---------------------------------------------------------------------------------------------


class HeadTail:
    """Keeps the beginning and the end of a text, and counts what it dropped between them."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._head: list[str] = []
        self._head_length = 0
        self._tail: deque[str] = deque()
        self._tail_length = 0
        self.total = 0

    def append(self, text: str) -> str:
        """Adds text; returns the part that went into the head."""
        self.total += len(text)
        room = self._head_limit - self._head_length
        if len(text) <= room:
            self._head.append(text)
            self._head_length += len(text)
            return text
        head = text[:room]
        if head:
            self._head.append(head)
            self._head_length += len(head)
            text = text[len(head) :]
        if text and self._tail_limit:
            if len(text) > self._tail_limit:
                text = text[-self._tail_limit :]
            self._tail.append(text)
            self._tail_length += len(text)
            while self._tail_length - len(self._tail[0]) >= self._tail_limit:
                self._tail_length -= len(self._tail.popleft())
        return head

    @property
    def dropped(self) -> int:
        return max(0, self.total - self._head_limit - self._tail_limit)

    def text(self) -> str:
        tail = "".join(self._tail)
        if not self.dropped:
            return "".join(self._head) + tail
        tail = tail[len(tail) - self._tail_limit :]
        return "".join(self._head) + f"\n... [{self.dropped:,} characters dropped] ...\n" + tail


class Capture:
    """Collects what a cell prints: by print, by the file descriptors, or by a process that it started.

    Python-level writes are appended here directly; descriptors 1 and 2 lead into a pipe that is drained before
    each of them, so the order is the order of writing. A thread drains the pipe while nobody writes, and sends the
    head of the output to the host while the cell still runs. It looks after it at intervals, as long as there is
    output at all: to wake it for each would cost more than most cells do.
    """

    INTERVAL = 0.05  # seconds between two looks at output that was not sent yet
    READ_SIZE = 1 << 16

    def __init__(self, channel: Channel, gate: InterruptGate) -> None:
        self._channel = channel
        self._gate = gate
        self._lock = threading.Lock()
        self._limit = 20_000
        self._buffer = HeadTail(self._limit)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoding = False
        self._unsent: list[str] = []
        self._sent: list[Message] = []
        self._sending = threading.Lock()
        self._written = False
        self._looking = False
        self._cell: Optional[int] = None
        self._forked = False
        self._read_fd, write_fd = os.pipe()
        self._wake_read, self._wake_write = os.pipe()
        self._orderly = os.name == "posix"
        if self._orderly:
            os.set_blocking(self._read_fd, False)
            self._arrived = select.poll()
            self._arrived.register(self._read_fd, select.POLLIN)
            _enlarge_pipe(write_fd)
        os.dup2(write_fd, 1)
        os.dup2(write_fd, 2)
        os.close(write_fd)
        self._streams = (OutputStream(self, 1), OutputStream(self, 2))
        self.install()
        pump = self._pump if self._orderly else self._pump_blocking
        threading.Thread(target=pump, name="repl-output", daemon=True).start()

    def install(self) -> None:
        if not self._forked:
            sys.stdout, sys.stderr = self._streams
            sys.__stdout__, sys.__stderr__ = self._streams  # type: ignore[misc,assignment]

    def begin(self, cell: int, limit: int) -> None:
        with self._lock:
            if limit != self._limit:
                earlier = self._buffer.text()
                self._limit = limit
                self._buffer = HeadTail(limit)
                self._buffer.append(earlier)
            self._cell = cell
            self._sent.clear()

    def finish(self) -> HeadTail:
        """Ends the cell's output and returns it; what is printed from now on belongs to the next cell."""
        with self._lock:
            self._drain()
            if self._decoding:
                self._decoding = False
                self._buffer.append(self._decoder.decode(b"", True))
                self._decoder.reset()
            done, self._buffer = self._buffer, HeadTail(self._limit)
            self._unsent.clear()
            self._cell = None
            return done

    def write(self, text: str) -> None:
        with self._gate, self._lock:
            if text != "\n":  # which print writes by itself, and which belongs to the line before it
                self._drain()
            self._append(text)

    def write_bytes(self, data: bytes) -> None:
        with self._gate, self._lock:
            self._drain()
            self._append(self._decode(data))

    def _append(self, text: str) -> None:
        head = self._buffer.append(text)
        if head and self._cell is not None:
            self._unsent.append(head)
            self._written = True
            if not self._looking:
                self._looking = True
                os.write(self._wake_write, b".")

    def _drain(self) -> None:
        while self._orderly and self._arrived.poll(0):
            try:
                data = os.read(self._read_fd, self.READ_SIZE)
            except OSError:  # code in the REPL closed it
                return
            if not data:
                return
            self._append(self._decode(data))

    def _decode(self, data: bytes) -> str:
        self._decoding = True
        return self._decoder.decode(data)

    def _take_unsent(self) -> Optional[Message]:
        if not self._unsent or self._cell is None:
            return None
        params = {"cell": self._cell, "part": len(self._sent) + 1, "text": "".join(self._unsent)}
        self._unsent.clear()
        self._sent.append({"jsonrpc": "2.0", "method": "output", "params": params})
        return self._sent[-1]

    def resume(self) -> None:
        """Sends what the cell has printed so far once more; the host knows the parts that it has."""
        with self._sending:
            for message in list(self._sent):
                self._channel.send(message)

    def _pump(self) -> None:
        poller = select.poll()
        poller.register(self._read_fd, select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        look_at = 0.0
        while True:
            wait = max(0.0, (look_at - time.monotonic()) * 1000) if self._looking else None
            ready = dict(poller.poll(wait))
            if any(state & ~select.POLLIN for state in ready.values()):
                return  # code in the REPL closed the pipe
            message = None
            with self._sending:  # in the order of the parts
                with self._lock:
                    if self._wake_read in ready:
                        os.read(self._wake_read, 64)
                        look_at = time.monotonic() + self.INTERVAL
                    if self._read_fd in ready:
                        self._drain()
                    if self._looking and time.monotonic() >= look_at:
                        message = self._take_unsent()
                        self._looking, self._written = self._written, False
                        look_at = time.monotonic() + self.INTERVAL
                if message is not None:
                    self._channel.send(message)

    def _pump_blocking(self) -> None:
        """Where a pipe can be neither polled nor read without blocking (Windows): output is late, not lost."""
        while True:
            data = os.read(self._read_fd, self.READ_SIZE)
            if not data:
                return
            with self._sending:
                with self._lock:
                    self._append(self._decode(data))
                    message = self._take_unsent()
                if message is not None:
                    self._channel.send(message)

    def detach(self) -> None:
        """In a forked child: print through the descriptors, which the parent alone drains."""
        self._forked = True
        self._orderly = False
        self._lock = threading.Lock()
        sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)
        sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)


class OutputStream(io.TextIOBase):
    """What sys.stdout and sys.stderr are in the REPL."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, capture: Capture, descriptor: int) -> None:
        self._capture = capture
        self._descriptor = descriptor
        self.buffer = OutputBytes(capture, descriptor)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self._capture.write(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return False

    def close(self) -> None:
        pass


class OutputBytes(io.RawIOBase):
    """The binary side of sys.stdout and sys.stderr."""

    def __init__(self, capture: Capture, descriptor: int) -> None:
        self._capture = capture
        self._descriptor = descriptor

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self._capture.write_bytes(view.tobytes())
        return view.nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        pass


def _enlarge_pipe(descriptor: int) -> None:
    """More room for code that writes while it holds the interpreter, so that it does not wait for the pump."""
    try:
        import fcntl

        fcntl.fcntl(descriptor, getattr(fcntl, "F_SETPIPE_SZ", 1031), 1 << 20)
    except (ImportError, OSError):
        pass


# --- Host functions --------------------------------------------------------------------------------------


def _failed(message: object) -> str:
    return f"Error: {message}"


def query_functions(call: Callable[[str, Message], Any]) -> dict[str, Callable[..., Any]]:
    """The functions that reach models. A failure is a string that starts with "Error:", never an exception."""

    def ask(name: str, arguments: Message) -> Any:
        try:
            return call(name, arguments)
        except (RuntimeError, TypeError, ValueError, RecursionError) as error:
            return _failed(error)

    def ask_each(name: str, prompts: Any, arguments: Message) -> list[str]:
        if isinstance(prompts, (str, bytes, dict)):
            return [_failed(f"prompts must be a list of strings, not {type(prompts).__name__}")]
        try:
            arguments["prompts"] = list(prompts)
        except TypeError as error:
            return [_failed(error)]
        if not arguments["prompts"]:
            return []
        answers = ask(name, arguments)
        return answers if isinstance(answers, list) else [answers] * len(arguments["prompts"])

    def llm_query(prompt: str, model: Optional[str] = None) -> str:
        """Asks a sub-model one prompt and returns its answer."""
        return ask("llm_query", {"prompt": prompt, "model": model})

    def llm_query_batched(prompts: "list[str]", model: Optional[str] = None) -> "list[str]":
        """Asks a sub-model many prompts at once; the answers are in the order of the prompts."""
        return ask_each("llm_query_batched", prompts, {"model": model})

    def rlm_query(
        prompt: str, context: Any = None, model: Optional[str] = None, schema: Optional[Message] = None
    ) -> Any:
        """Hands a whole task to a child with a REPL of its own; context (default: the prompt) becomes its `context`.

        With a JSON Schema the answer is checked against it and comes back as a Python value.
        """
        return ask("rlm_query", {"prompt": prompt, "context": context, "model": model, "schema": schema})

    def rlm_query_batched(
        prompts: "list[str]",
        contexts: Optional["list[Any]"] = None,
        model: Optional[str] = None,
        schema: Optional[Message] = None,
    ) -> "list[Any]":
        """Runs many children at once; contexts, when given, has one entry for each prompt."""
        if contexts is not None:
            try:
                contexts = list(contexts)
            except TypeError:
                return [_failed(f"contexts must be a list, not {type(contexts).__name__}")]
        return ask_each("rlm_query_batched", prompts, {"contexts": contexts, "model": model, "schema": schema})

    def search_db(query: str, top_k: int = 5, filters: Optional[Message] = None) -> "list[Message]":
        """Searches the database; returns dicts with content, score, id and metadata, the best first."""
        return call("search_db", {"query": query, "top_k": top_k, "filters": filters})

    functions = (llm_query, llm_query_batched, rlm_query, rlm_query_batched, search_db)
    return {function.__name__: function for function in functions}


_ANNOTATIONS = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}


def tool_function(call: Callable[[str, Message], Any], tool: Message) -> Callable[..., Any]:
    """A Python function for a host function: a real signature, its description as docstring, errors as exceptions."""
    import inspect

    name = tool["name"]
    parameters = [
        inspect.Parameter(
            parameter["name"],
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if parameter["required"] else parameter.get("default"),
            annotation=_ANNOTATIONS.get(parameter.get("type"), inspect.Parameter.empty),
        )
        for parameter in tool["parameters"]
    ]
    signature = inspect.Signature(parameters)

    def function(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}(): {error}") from None
        return call(name, dict(bound.arguments))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = tool.get("description") or None
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


# --- Namespace -------------------------------------------------------------------------------------------


class Listing(str):
    """A text that a bare expression shows as it is."""

    def __repr__(self) -> str:
        return str(self)


class Namespace:
    """The one live namespace of the REPL, and the names in it that belong to the host."""

    MAX_NAMES = 60

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        sys.modules["__main__"] = self.module
        self.names: dict[str, Any] = self.module.__dict__
        self.scaffold: dict[str, Any] = {}
        self.answer: Message = {"content": "", "ready": False}
        self.declare("answer", self.answer)
        self.declare("SHOW_VARS", self.show_vars)
        self.declare("FINAL", self.final)
        self.declare("FINAL_VAR", self.final_var)

    def declare(self, name: str, value: Any) -> None:
        self.scaffold[name] = value
        self.names[name] = value

    def forget(self, name: str) -> None:
        self.scaffold.pop(name, None)
        self.names.pop(name, None)

    def begin(self) -> None:
        """A new request: nothing is answered yet."""
        self.answer = {"content": "", "ready": False}
        self.declare("answer", self.answer)

    def restore(self) -> Optional[str]:
        """Puts the host's names back, whatever a cell made of them; an answer that is a dict is the new answer."""
        answer = self.names.get("answer")
        note = None
        if isinstance(answer, dict):
            self.answer = self.scaffold["answer"] = answer
        else:
            note = "answer was restored: it must stay a dict; set answer['content'], then answer['ready'] = True"
        self.names.setdefault("__name__", "__main__")
        self.names.update(self.scaffold)
        return note

    def variables(self) -> list[str]:
        """The public names that cells made, modules apart."""
        found = [
            name
            for name, value in list(self.names.items())
            if isinstance(name, str)
            and not name.startswith("_")
            and name not in self.scaffold
            and not isinstance(value, types.ModuleType)
        ]
        return found[-self.MAX_NAMES :]

    def show_vars(self) -> Listing:
        """Lists the variables of the REPL with their types."""
        rows = [f"{name}: {type(self.names[name]).__name__}" for name in self.variables()]
        return Listing("\n".join(rows) if rows else "(no variables yet)")

    def final(self, value: Any = "") -> None:
        """Gives the final answer."""
        answer = self.names.get("answer")
        target = answer if isinstance(answer, dict) else self.answer
        target["content"] = value
        target["ready"] = True
        self.names["answer"] = target

    def final_var(self, variable: Any) -> None:
        """Gives the value of a variable, named or passed, as the final answer."""
        if isinstance(variable, str):
            name = variable.strip().strip("'\"").strip()
            if name in self.names:
                variable = self.names[name]
            elif name.isidentifier() and not any(value is variable for value in self.names.values()):
                raise NameError(f"FINAL_VAR: there is no variable {name!r}; SHOW_VARS() lists them")
        self.final(variable)


# --- Session ---------------------------------------------------------------------------------------------


class Session:
    """One REPL: its protocol, its output, its namespace, and the loop that serves the host."""

    REMEMBERED_ANSWERS = 16
    MAX_TRACEBACK = 6_000
    MAX_PARTIAL = 200_000

    def __init__(self, nonce: str) -> None:
        self.nonce = nonce
        self.gate = InterruptGate()
        self.gate.install()
        self.leader = _lead_session()
        read_fd, write_fd = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self.channel = Channel(read_fd, write_fd, self.gate)
        self.channel.on_request = self.receive
        self.channel.on_end = self.end
        self.capture = Capture(self.channel, self.gate)
        self.namespace = Namespace()
        self.accepted: set[Any] = set()
        self.answered: OrderedDict[Any, Message] = OrderedDict()
        self.forked = False
        self.answer_json = False
        self.output_limit = 20_000
        self.functions: list[str] = []
        self.excepthook = threading.excepthook
        self.methods: dict[str, Callable[[Message], Message]] = {
            "initialize": self.initialize,
            "begin": self.begin,
            "set_context": self.set_context,
            "set_variable": self.set_variable,
            "execute": self.execute,
        }
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self.forked = True
        self.channel.detach()
        self.capture.detach()

    def end(self) -> None:
        if not self.forked:
            _end_everything(self.leader)
        os._exit(0)

    def receive(self, message: Message) -> bool:
        """Whether a message is a request to be served by the main thread; everything else is done here."""
        method, request_id = message["method"], message.get("id")
        if method == "interrupt":
            _thread.interrupt_main()
        elif method == "resume":
            self.resume()
        elif method == "shutdown":
            self.end()
        elif request_id is None:
            pass  # a notification that this worker does not know
        elif request_id not in self.accepted:
            self.accepted.add(request_id)
            return True
        else:
            answer = self.answered.get(request_id)  # once: the main thread may drop it meanwhile
            if answer is not None:
                self.channel.send(answer)
        return False

    def serve(self) -> None:
        """The main thread's work, for signals reach only the main thread: one request after the other."""
        self.channel.watch()
        self.channel.begin()
        self.greet()
        while True:
            request = self.channel.next_request()
            reply = self.reply_to(request)
            if self.forked:  # a cell forked, and this is the child, at the end of the cell
                os._exit(0)
            self.finish(request["id"], reply)

    def greet(self) -> None:
        params = {"nonce": self.nonce, "pid": os.getpid(), "python": ".".join(map(str, sys.version_info[:3]))}
        self.channel.send({"jsonrpc": "2.0", "method": "ready", "params": params})

    def resume(self) -> None:
        """After a cut in which messages of either side may be lost: says again what the host may have missed."""
        self.channel.resume()
        if not self.accepted:
            self.greet()
        self.capture.resume()

    def finish(self, request_id: Any, reply: Message) -> None:
        self.answered[request_id] = reply
        while len(self.answered) > self.REMEMBERED_ANSWERS:
            self.accepted.discard(self.answered.popitem(last=False)[0])
        try:
            self.channel.send(reply)
        except MessageTooLarge as error:  # only an answer can be that long: everything else is capped
            self.namespace.answer["ready"] = False
            reply["result"].update(ready=False, content=None, note=f"the answer is too long to be one: {error}")
            self.channel.send(reply)

    def reply_to(self, request: Message) -> Message:
        reply: Message = {"jsonrpc": "2.0", "id": request["id"]}
        method = self.methods.get(request["method"])
        try:
            if method is None:
                reply["error"] = {"code": -32601, "message": f"unknown method {request['method']!r}"}
            else:
                reply["result"] = method(request.get("params") or {})
        except Exception as error:
            reply["error"] = {"code": -32000, "message": f"{type(error).__name__}: {error}"}
        return reply

    def initialize(self, params: Message) -> Message:
        self.channel.max_message_bytes = params["max_message_bytes"]
        return self.begin(params)

    def begin(self, params: Message) -> Message:
        """Begins a request, the first one or a later one: its functions, and an answer that is not given yet."""
        self.output_limit = params["output_limit"]
        self.answer_json = params["answer_json"]
        for name in self.functions:
            self.namespace.forget(name)
        queries = query_functions(self.channel.call)
        found = {name: queries[name] for name in params["functions"]}
        found.update((tool["name"], tool_function(self.channel.call, tool)) for tool in params["tools"])
        self.functions = list(found)
        for name, function in found.items():
            self.namespace.declare(name, function)
        self.namespace.begin()
        return {}

    def set_context(self, params: Message) -> Message:
        value, report = load(params)
        self.namespace.declare(f"context_{params['index']}", value)
        if params.get("current"):
            self.namespace.declare("context", value)
        return report

    def set_variable(self, params: Message) -> Message:
        value, report = load(params)
        self.namespace.declare(params["name"], value)
        return report

    def execute(self, params: Message) -> Message:
        self.gate.install()
        if params.get("reopen"):
            self.namespace.answer["ready"] = False
        self.capture.begin(params["cell"], self.output_limit)
        status, error = "ok", None
        try:
            self.run(params["code"], f"<cell {params['cell']}>")
        except KeyboardInterrupt:
            status = "interrupted"
        except SystemExit as end:
            status, error = "error", {"type": "SystemExit", "text": _describe_exit(end)}
        except BaseException as failure:
            status, error = "error", self.describe(failure)
        finally:
            self.gate.disarm()
        self.capture.install()
        threading.excepthook = self.excepthook
        output = self.capture.finish()
        note = self.namespace.restore()
        result = {
            "status": status,
            "output": output.text(),
            "dropped": output.dropped,
            "error": error,
            "variables": self.namespace.variables(),
            "note": note,
        }
        result.update(self.read_answer())
        return result

    def run(self, source: str, filename: str) -> None:
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        names = self.namespace.names
        program, value = self.compile(source, filename)
        try:
            self.gate.arm()
            if program is not None:
                exec(program, names)
            if value is not None:
                self.echo(eval(value, names))
        finally:
            self.gate.disarm()

    def compile(self, source: str, filename: str) -> "tuple[Any, Any]":
        """The cell's statements, and its last expression, whose value is shown."""
        if "\n" not in source:
            try:
                return None, compile(source, filename, "eval", dont_inherit=True)  # the usual probe is one expression
            except SyntaxError:
                pass
        tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        program = compile(tree, filename, "exec", dont_inherit=True) if tree.body else None
        value = compile(ast.Expression(last.value), filename, "eval", dont_inherit=True) if last else None
        return program, value

    def echo(self, value: Any) -> None:
        if value is None:
            return
        self.namespace.names["_"] = value
        if type(value) is str and len(value) > 2 * self.output_limit:  # a repr of the whole would be a second copy of it
            half = self.output_limit // 2
            shown = f"{value[:half]!r} ... [{len(value) - 2 * half:,} characters dropped] ... {value[-half:]!r}"
        else:
            shown = repr(value)
        sys.stdout.write(shown + "\n")

    def describe(self, failure: BaseException) -> Message:
        """The traceback as the author of the cell needs it: without the worker's own frames."""
        try:
            told = traceback.TracebackException.from_exception(failure)
            _drop_own_frames(told)
            text = "".join(told.format())
        except Exception as error:  # an exception whose own text fails
            text = f"{type(failure).__name__} (its text could not be made: {type(error).__name__})"
        shown = HeadTail(self.MAX_TRACEBACK)
        shown.append(text.rstrip())
        return {"type": type(failure).__name__, "text": shown.text()}

    def read_answer(self) -> Message:
        """The answer as it stands at the end of the cell, whatever way it was set."""
        answer = self.namespace.answer
        try:
            ready = bool(answer.get("ready"))
            content = answer.get("content")
            text = self.answer_text(content)
        except Exception as error:
            answer["ready"] = False
            return {"ready": False, "note": f"answer could not be read: {type(error).__name__}: {error}"}
        if ready and len(text) > self.channel.max_message_bytes // 4:
            answer["ready"] = False
            return {"ready": False, "note": f"answer['content'] has {len(text):,} characters: too long to be an answer"}
        if ready:
            return {"ready": True, "content": text}
        return {"ready": False, "content": text[: self.MAX_PARTIAL]} if text else {"ready": False}

    def answer_text(self, content: Any) -> str:
        if isinstance(content, str):
            return content
        if self.answer_json and (content is None or isinstance(content, (dict, list, tuple, bool))):
            return json.dumps(content, ensure_ascii=False, default=str)
        return "" if content is None else str(content)


def _drop_own_frames(told: traceback.TracebackException) -> None:
    earlier: Optional[traceback.TracebackException] = told
    while earlier is not None:
        own = [frame for frame in earlier.stack if frame.filename != __file__]
        earlier.stack = traceback.StackSummary.from_list(own)
        earlier = earlier.__cause__ or earlier.__context__


def _describe_exit(end: SystemExit) -> str:
    return f"SystemExit: {end.code}" if end.code is not None else "SystemExit"


def _lead_session() -> bool:
    """Makes the worker the leader of a process group of its own, so that all it starts can be ended with it."""
    try:
        os.setsid()
        return True
    except (AttributeError, OSError):
        return False


def _end_everything(leader: bool) -> None:
    if leader:
        try:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        except OSError:
            pass
    os._exit(0)


# --- Values from the host --------------------------------------------------------------------------------


BYTE_ORDER_MARK = "\ufeff"


def load(params: Message) -> "tuple[Any, Message]":
    """A value that the host sent, inline or as an uploaded file, and what there is to say about it.

    Formats: "text" is a str; "json" is parsed; "jsonl" is a list with one parsed entry for each line.
    """
    replaced = 0
    if "path" in params:
        text, replaced = read_text(params["path"], params.get("bytes"))
        try:
            os.unlink(params["path"])  # it is in memory now
        except OSError:
            pass
    else:
        text = params["text"]
    form = params["format"]
    value: Any = text
    if form == "json":
        value = json.loads(text.lstrip(BYTE_ORDER_MARK))
    elif form == "jsonl":
        value = [json.loads(line) for line in text.lstrip(BYTE_ORDER_MARK).split("\n") if line.strip()]
    return value, {"type": type(value).__name__, "length": _length(value), "characters": len(text), "replaced": replaced}


def _length(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 1


def read_text(path: str, size: Optional[int]) -> "tuple[str, int]":
    """Decodes a UTF-8 file without holding its bytes; invalid bytes become U+FFFD and are counted."""
    actual = os.stat(path).st_size
    if size is not None and size != actual:
        raise ValueError(f"the upload is incomplete: {actual:,} of {size:,} bytes arrived")
    if actual == 0:
        return "", 0
    with open(path, "rb") as file:
        import mmap

        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            try:
                return str(view, "utf-8"), 0
            except UnicodeDecodeError:
                text = str(view, "utf-8", "replace")
                genuine = bytes(view).count(b"\xef\xbf\xbd")
                return text, text.count("\ufffd") - genuine


def main(nonce: str) -> None:
    sys.argv[:] = [""]
    Session(nonce).serve()


if __name__ == "__main__":
    main(sys.argv[1])
