"""Runs a program call by call: counts the calls with which it changes or reads files, and kills it, holds it or lets a
call fail at any of them.

`strace` counts calls for every thread apart, so that it cannot reach each call of a program with several; this counts
those of all threads together. Linux on x86_64 only.
"""

import ctypes
import os
import platform
import signal
import struct
import subprocess

TRACEME, POKEUSER, SYSCALL, SETOPTIONS, SYSCALL_INFO = 0, 6, 24, 0x4200, 0x420E
SYSGOOD, FORK, VFORK, CLONE, EXITKILL = 1, 2, 4, 8, 0x100000
WALL = 0x40000000
ENTRY, EXIT = 1, 2
# Where the number of a call and its result lie in what the kernel keeps of a stopped thread.
ORIG_RAX, RAX = 15 * 8, 10 * 8

O_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
BY_FD = {1: "write", 18: "write", 20: "write", 74: "fsync", 75: "fsync", 77: "truncate", 0: "read", 17: "read"}
# The number of the argument that is the path.
BY_PATH = {
    2: ("open", 0), 257: ("open", 1), 82: ("rename", 0), 264: ("rename", 1), 316: ("rename", 1),
    86: ("link", 0), 265: ("link", 1), 87: ("unlink", 0), 263: ("unlink", 1), 84: ("unlink", 0),
    83: ("mkdir", 0), 258: ("mkdir", 1),
}
CHANGES = {"create", "write", "fsync", "truncate", "rename", "link", "unlink", "mkdir"}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def why_not():
    """Why this machine cannot do it; nothing if it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "only Linux on x86_64 is known to it"
    try:
        with_true = Traced(["true"], os.environ, "/", subprocess.DEVNULL)
        with_true.run()
    except OSError as error:
        return f"a process may not be traced here ({error})"
    return None


def ptrace(request, pid, address=0, data=0):
    result = libc.ptrace(request, pid, address, data)
    if result == -1 and ctypes.get_errno():
        number = ctypes.get_errno()
        ctypes.set_errno(0)
        raise OSError(number, os.strerror(number))
    return result


class Call:
    """A call that is about to be made: what it does, to which path."""

    def __init__(self, what, path):
        self.what, self.path = what, path

    def __str__(self):
        return f"{self.what} {self.path}"


class Traced:
    """A program that is run call by call. Calls to paths outside `root` do not count."""

    def __init__(self, argv, env, root, out):
        self.root = os.path.join(os.path.realpath(root), "")
        self.process = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            preexec_fn=lambda: libc.ptrace(TRACEME, 0, 0, 0),
        )
        self.pid = self.process.pid
        self.failing = {}
        self.info = ctypes.create_string_buffer(88)
        os.waitpid(self.pid, WALL)
        ptrace(SETOPTIONS, self.pid, 0, SYSGOOD | FORK | VFORK | CLONE | EXITKILL)
        self.resume(self.pid)

    def run(self):
        """Lets it run to its end; returns its exit code."""
        while self.next_call() is not None:
            self.go_on()
        return self.code

    def next_call(self):
        """The next call that counts, before which it now stands still; nothing if it is over."""
        while True:
            pid, status = os.waitpid(-1, WALL)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if pid == self.pid:
                    self.code = os.waitstatus_to_exitcode(status)
                    self.process.returncode = self.code
                    return None
                continue
            number, event = os.WSTOPSIG(status), status >> 16
            if number != signal.SIGTRAP | 0x80:
                # A thread that has just begun stops once, which is nobody's signal.
                is_own = event or number == signal.SIGSTOP or number == signal.SIGTRAP
                self.resume(pid, 0 if is_own else number)
                continue
            call = self.call(pid)
            if call is not None:
                self.stopped = pid
                return call
            self.resume(pid)

    def go_on(self):
        """Lets the call be made before which it stands still."""
        self.resume(self.stopped)

    def fail(self, number):
        """Lets the call fail instead."""
        ptrace(POKEUSER, self.stopped, ORIG_RAX, ctypes.c_ulong(-1).value)
        self.failing[self.stopped] = number
        self.resume(self.stopped)

    def kill(self):
        """Kills it before the call."""
        if self.process.returncode is not None:
            return
        os.kill(self.pid, signal.SIGKILL)
        while self.next_call() is not None:
            pass

    def resume(self, pid, number=0):
        try:
            ptrace(SYSCALL, pid, 0, number)
        except ProcessLookupError:
            pass  # It was killed meanwhile.

    def call(self, pid):
        try:
            ptrace(SYSCALL_INFO, pid, len(self.info), ctypes.addressof(self.info))
            if self.info.raw[0] == EXIT and pid in self.failing:
                result = -self.failing.pop(pid)
                ptrace(POKEUSER, pid, RAX, ctypes.c_ulong(result).value)
            if self.info.raw[0] != ENTRY:
                return None
            number, *arguments = struct.unpack_from("<7Q", self.info.raw, 24)
            what, path = self.what(pid, number, arguments)
        except ProcessLookupError:
            return None
        return Call(what, path) if what and path.startswith(self.root) else None

    def what(self, pid, number, arguments):
        if number in BY_FD:
            try:
                return BY_FD[number], os.readlink(f"/proc/{pid}/fd/{arguments[0]}")
            except OSError:
                return None, ""
        if number not in BY_PATH:
            return None, ""
        what, place = BY_PATH[number]
        if what == "open" and arguments[place + 1] & O_WRITES:
            what = "create"
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(arguments[place])
            path = os.fsdecode(memory.read(4096).split(b"\0")[0])
        return what, path
