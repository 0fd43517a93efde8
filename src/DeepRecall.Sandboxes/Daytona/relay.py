r"""Stands between the worker and its terminal, and writes to the terminal no faster than the host reads.

The service drops a client that lags behind by 256 messages, and with it what the terminal showed. So no more than a window is
ever under way: the host acknowledges what it has, in the midst of what it sends.

host -> relay   \x06<count>\n  so many bytes have arrived
                \x06+\n        forget what is under way: the connection was lost, and a new one is there
                \x06\x06       the byte \x06 itself
All else is the worker's. The worker goes on here, as a child; this process ends as the worker does.
"""

import os
import select
import signal

WINDOW = 128 * 1024
MARK = b"\x06"  # ACK


def main() -> None:
    worker_in, to_worker = os.pipe()
    from_worker, worker_out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(worker_in, 0)
        os.dup2(worker_out, 1)
        for descriptor in (worker_in, worker_out, to_worker, from_worker):
            os.close(descriptor)
        return
    os.close(worker_in)
    os.close(worker_out)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        relay(to_worker, from_worker)
    finally:
        os.close(to_worker)  # the worker's end of input, and so its end
        status = os.waitpid(pid, 0)[1]
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def relay(to_worker: int, from_worker: int) -> None:
    os.set_blocking(to_worker, False)
    poller = select.poll()
    poller.register(0, select.POLLIN)
    reading = writing = False
    under_way = 0
    waiting = bytearray()
    received = Received()
    while True:
        if reading != (under_way < WINDOW):
            reading = not reading
            poller.register(from_worker, select.POLLIN) if reading else poller.unregister(from_worker)
        if writing != bool(waiting):
            writing = not writing
            poller.register(to_worker, select.POLLOUT) if writing else poller.unregister(to_worker)
        for descriptor, _ in poller.poll():
            if descriptor == 0:
                data = os.read(0, 65536)
                if not data:
                    return
                waiting += received.take(data)
                under_way = 0 if received.forgotten else max(0, under_way - received.arrived)
                write(to_worker, waiting)
            elif descriptor == to_worker:
                write(to_worker, waiting)
            else:
                data = os.read(from_worker, WINDOW - under_way)
                if not data:
                    return
                under_way += len(data)
                while data:
                    data = data[os.write(1, data) :]


def write(to_worker: int, waiting: bytearray) -> None:
    """Writes as much as the worker takes now: it may be busy, and what it writes must go on meanwhile."""
    while waiting:
        try:
            del waiting[: os.write(to_worker, waiting)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            waiting.clear()


class Received:
    """Takes the acknowledgements out of what the host sends."""

    def __init__(self) -> None:
        self.arrived = 0
        self.forgotten = False
        self._held = b""

    def take(self, data: bytes) -> bytes:
        self.arrived, self.forgotten = 0, False
        data, self._held = self._held + data, b""
        passed = bytearray()
        start = 0
        while True:
            mark = data.find(MARK, start)
            if mark < 0:
                passed += data[start:]
                return bytes(passed)
            passed += data[start:mark]
            if data[mark + 1 : mark + 2] == MARK:
                passed += MARK
                start = mark + 2
                continue
            end = data.find(b"\n", mark)
            if end < 0:
                self._held = data[mark:]
                return bytes(passed)
            self._acknowledge(data[mark + 1 : end])
            start = end + 1

    def _acknowledge(self, count: bytes) -> None:
        if count == b"+":
            self.arrived, self.forgotten = 0, True
        elif count.isdigit():
            self.arrived += int(count)


main()
