"""Confines the process that runs it, for good, before any code of a model runs in it. Linux only; Python 3.9 or newer.

The host writes a plan (plan.json): which mechanisms there are, what may be read, and the seccomp filter. This applies
it step by step, goes on where a step fails, and writes to standard error, in one line, which steps hold and why the
others do not. Whether that is enough is for the host to say; nothing of a model has run by then.
"""

from __future__ import annotations

import base64
import json
import os
import stat
import struct
import sys
from typing import Any, Callable, Optional

try:
    import _ctypes  # of which ctypes is the form for people, four times as slow to import
except ImportError:
    _ctypes = None  # type: ignore[assignment]

REPORT = b"deeprecall-confinement: "
PLAN = "plan.json"


class Kernel:
    """The system calls that Python has no functions for."""

    def __init__(self, numbers: "dict[str, int]", hidden: "list[str]") -> None:
        self._numbers = numbers
        self._hidden = hidden

        class Long(_ctypes._SimpleCData):  # type: ignore[name-defined]
            _type_ = "l"

        class Char(_ctypes._SimpleCData):  # type: ignore[name-defined]
            _type_ = "c"

        class Function(_ctypes.CFuncPtr):  # type: ignore[name-defined]
            _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
            _restype_ = Long

        library = _ctypes.dlopen(None, 0)
        self._long, self._char = Long, Char
        self._syscall = Function(_ctypes.dlsym(library, "syscall"))
        self._find = lambda name: Function(_ctypes.dlsym(library, name))

    def call(self, name: str, *arguments: "int | bytes") -> int:
        """Makes a system call; bytes are passed by address."""
        if name in self._hidden:
            raise OSError(38, os.strerror(38))
        values = [value if isinstance(value, bytes) else self._long(value) for value in arguments]
        result = self._syscall(self._long(self._numbers[name]), *values)
        if result < 0:
            error = _ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return result

    def buffer(self, data: bytes) -> "tuple[Any, int]":
        """Memory that holds the data, to be kept as long as its address is used, and the address."""
        memory = (self._char * len(data)).from_buffer_copy(data)
        return memory, _ctypes.addressof(memory)

    def keep_one_heap(self) -> None:
        """Threads share one heap: each of their own would count as 64 MiB of the address space that is limited."""
        try:
            self._find("mallopt")(self._long(-8), self._long(1))  # M_ARENA_MAX
        except AttributeError:
            pass  # not glibc


# --- Files: Landlock (linux/landlock.h) ---------------------------------------------------------------------

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
REFER, TRUNCATE, IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE

# What Python opens beside its own runtime: the loader's cache, time zones, and what openssl and mimetypes insist on.
ALWAYS_READABLE = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/ssl/openssl.cnf",
    "/usr/share/zoneinfo",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
)
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
PROGRAMS = ("/bin", "/usr/bin", "/usr/local/bin")
FOR_NETWORK = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
)


def runtime_paths() -> "list[str]":
    """What this interpreter needs to read to import its modules."""
    found = {os.path.realpath(sys.executable), *LIBRARIES}
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        found.update((os.path.join(prefix, "lib"), os.path.join(prefix, "lib64"), os.path.join(prefix, "pyvenv.cfg")))
        if prefix.startswith("/nix/store/"):
            found.add("/nix/store")
    found.update(path for path in sys.path if os.path.isabs(path))
    return sorted(found)


def restrict_files(kernel: Kernel, plan: "dict[str, Any]", scratch: str) -> str:
    version = kernel.call("landlock_create_ruleset", 0, 0, 1)
    handled = (1 << 13) - 1
    handled |= REFER if version >= 2 else 0
    handled |= TRUNCATE if version >= 3 else 0
    handled |= IOCTL_DEVICE if version >= 5 else 0
    network = 0 if version < 4 or plan["network"] else 3  # bind and connect of TCP
    scoped = 3 if version >= 6 else 0  # abstract sockets and signals
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = kernel.call("landlock_create_ruleset", struct.pack("=QQQ", handled, network, scoped)[:size], size, 0)

    def allow(path: str, access: int) -> None:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return  # it is not there
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            access &= OF_A_FILE
        kernel.call("landlock_add_rule", ruleset, 1, struct.pack("=Qi", access & handled, place), 0)
        os.close(place)

    read = READ_FILE | READ_DIR
    run = EXECUTE if plan["subprocesses"] else 0
    for path in (*runtime_paths(), *ALWAYS_READABLE, *plan["readable"]):
        allow(path, read | run)
    for path in PROGRAMS if plan["subprocesses"] else ():
        allow(path, read | run)
    for path in FOR_NETWORK if plan["network"] else ():
        allow(path, read)
    allow("/dev/null", READ_FILE | WRITE_FILE)
    allow(scratch, handled & ~(EXECUTE | MAKE_CHAR | MAKE_BLOCK | IOCTL_DEVICE))
    kernel.call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)
    return f"Landlock {version}"


# --- Namespaces ---------------------------------------------------------------------------------------------

CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x04000000, 0x08000000, 0x10000000, 0x40000000
NOT_PERMITTED = 1


def leave_namespaces(kernel: Kernel, plan: "dict[str, Any]") -> str:
    """A second wall behind the filter, where the machine allows it: not root's in a container, and not everywhere anybody else's."""
    kinds = CLONE_NEWUTS | CLONE_NEWIPC | (0 if plan["network"] else CLONE_NEWNET)
    try:
        kernel.call("unshare", kinds)
    except OSError as error:
        if error.errno != NOT_PERMITTED:
            raise
        kernel.call("unshare", kinds | CLONE_NEWUSER)
    return "IPC" if plan["network"] else "IPC and network"


# --- Privileges ---------------------------------------------------------------------------------------------

PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 24, 36, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522


def forbid_new_privileges(kernel: Kernel) -> str:
    kernel.call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return "no_new_privs"


def drop_capabilities(kernel: Kernel) -> str:
    try:
        for capability in range(64):
            kernel.call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
    except OSError:
        pass  # past the last one, or not root, who alone has any to lose
    try:
        kernel.call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    except OSError:
        pass  # older than Linux 4.3, where there are none
    kernel.call("capset", struct.pack("=Ii", CAPABILITY_VERSION_3, 0), bytes(24))
    return "no capabilities"


def adopt_orphans(kernel: Kernel) -> str:
    """Processes whose parent has ended become this one's children, so that the host finds them below it."""
    kernel.call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return "orphans are adopted"


def forbid_inspection(kernel: Kernel) -> str:
    kernel.call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    return "not dumpable"


# --- System calls: seccomp ----------------------------------------------------------------------------------


def filter_calls(kernel: Kernel, plan: "dict[str, Any]") -> str:
    program = bytearray(base64.b64decode(plan["filter"]))
    for place in plan["process_id_at"]:
        struct.pack_into("=I", program, place * 8 + 4, os.getpid())
    memory, address = kernel.buffer(bytes(program))
    kernel.call("seccomp", 1, 0, struct.pack("=H6xQ", len(program) // 8, address))
    del memory
    return f"seccomp, {len(program) // 8} instructions"


# --- All of it ----------------------------------------------------------------------------------------------


def require_one_thread() -> str:
    """What follows confines the thread that does it. Only code of installed packages (sitecustomize, .pth files) can have started another."""
    count = len(os.listdir("/proc/self/task"))
    if count != 1:
        raise OSError(1, f"{count} threads ran before the confinement, and it does not reach the others")
    return "one thread"


def close_inherited(kernel: Optional[Kernel]) -> str:
    """Only the three standard descriptors are the protocol's; whatever else the host's libraries left open is not."""
    try:
        if kernel is None:
            raise OSError
        kernel.call("close_range", 3, 0x7FFFFFFF, 0)
    except OSError:  # older than Linux 5.9
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                try:
                    os.close(int(name))
                except OSError:
                    pass  # the one of this listing
    return "closed"


def open_kernel(plan: "dict[str, Any]") -> "tuple[Optional[Kernel], str]":
    """The way to system calls, or why there is none."""
    if _ctypes is None or "_ctypes" in plan["hidden"]:
        return None, "this Python has no _ctypes module"
    try:
        return Kernel(plan["numbers"], plan["hidden"]), ""
    except Exception as error:  # a Python that is built, or that names things, in another way
        return None, f"this Python cannot make system calls: {type(error).__name__}: {error}"


def apply(plan: "dict[str, Any]", scratch: str) -> "dict[str, list[Any]]":
    """Takes every step, and tells for each whether it holds and by what, or why not."""
    report: "dict[str, list[Any]]" = {}

    def step(name: str, take: "Callable[[], str]") -> None:
        try:
            report[name] = [True, take()]
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
            report[name] = [False, reason]

    step("threads", require_one_thread)
    kernel, missing = open_kernel(plan)
    if kernel is None:
        for name in ("namespaces", "no_new_privs", "capabilities", "files", "inspection", "calls"):
            report[name] = [False, missing]
        step("descriptors", lambda: close_inherited(None))
        return report
    kernel.keep_one_heap()
    step("descriptors", lambda: close_inherited(kernel))
    step("namespaces", lambda: leave_namespaces(kernel, plan))
    step("no_new_privs", lambda: forbid_new_privileges(kernel))
    step("capabilities", lambda: drop_capabilities(kernel))
    step("files", lambda: restrict_files(kernel, plan, scratch))
    if plan["subprocesses"]:
        step("orphans", lambda: adopt_orphans(kernel))
    step("inspection", lambda: forbid_inspection(kernel))
    step("calls", lambda: filter_calls(kernel, plan))
    return report


def confine(directory: str, scratch: str) -> None:
    with open(os.path.join(directory, PLAN), encoding="utf-8") as file:
        plan = json.load(file)
    report = apply(plan, scratch)
    os.write(2, REPORT + json.dumps(report).encode("ascii") + b"\n")
