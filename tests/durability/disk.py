"""A disk that fails on command: the kernel asks this process what a server's writes and syncs shall answer.

Linux hands chosen system calls of a process to a supervisor (seccomp user notification, `man 2 seccomp_unotify`);
no root is needed, and the server cannot tell the answer from the disk's own.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import resource
import select
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NUMBERS: Final = {
    "x86_64": {"fsync": 74, "fdatasync": 75, "pwrite64": 18, "seccomp": 317},
    "aarch64": {"fsync": 82, "fdatasync": 83, "pwrite64": 68, "seccomp": 277},
}
SYNCS: Final = ("fsync", "fdatasync")
WRITES: Final = ("pwrite64",)

_PR_SET_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 8
_ALLOW: Final = 0x7FFF0000
_ASK_SUPERVISOR: Final = 0x7FC00000
_LOAD_NUMBER: Final = 0x20
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_LET_PASS: Final = 1

_RECEIVE: Final = 0xC0502100
_ANSWER: Final = 0xC0182101
_QUESTION_SIZE: Final = 80
_QUESTION: Final = "=QIIi"
_VERDICT: Final = "=QqiI"


def can_supervise() -> bool:
    return platform.system() == "Linux" and platform.machine() in _NUMBERS


class Disk:
    """Stands between one server and its disk, from the moment it starts."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._failing: dict[int, int] = {}

    @property
    def prepare(self) -> Callable[[], None]:
        """What the server's process calls before it opens a file."""
        return partial(_hand_over_disk_calls, self._theirs)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Answer the server's calls; to be entered right after its start."""
        _, (questions,), _, _ = socket.recv_fds(self._ours, 1, 1)
        wake, waker = os.pipe()
        answering = threading.Thread(target=self._answer_all, args=(questions, wake), name="disk")
        answering.start()
        try:
            yield
        finally:
            os.close(waker)
            answering.join()
            os.close(wake)
            os.close(questions)

    @contextmanager
    def failing(self, calls: tuple[str, ...], error: int) -> Iterator[None]:
        """Let these calls answer an error while the block runs."""
        numbers = _NUMBERS[platform.machine()]
        self._failing = {numbers[call]: error for call in calls}
        try:
            yield
        finally:
            self._failing = {}

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()

    def _answer_all(self, questions: int, wake: int) -> None:
        waiting = select.poll()
        waiting.register(questions, select.POLLIN)
        waiting.register(wake, select.POLLIN)
        while True:
            ready = dict(waiting.poll())
            if wake in ready or not ready[questions] & select.POLLIN:
                return
            with suppress(FileNotFoundError):  # the process was killed while it asked
                self._answer_one(questions)

    def _answer_one(self, questions: int) -> None:
        question = bytearray(_QUESTION_SIZE)
        fcntl.ioctl(questions, _RECEIVE, question)
        number: int
        identity, _pid, _flags, number = struct.unpack_from(_QUESTION, question)
        error = self._failing.get(number)
        verdict = (identity, 0, 0, _LET_PASS) if error is None else (identity, 0, -error, 0)
        fcntl.ioctl(questions, _ANSWER, struct.pack(_VERDICT, *verdict))


@contextmanager
def no_file_may_grow(pid: int) -> Iterator[None]:
    """Lower the size that the kernel allows this process's files to zero: EFBIG, as on a quota."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it may have been killed meanwhile
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction))]


def _hand_over_disk_calls(supervisor: socket.socket) -> None:
    numbers = _NUMBERS[platform.machine()]
    wanted = [numbers[call] for call in (*SYNCS, *WRITES)]
    instructions = [
        _Instruction(_LOAD_NUMBER, 0, 0, 0),
        *(_Instruction(_JUMP_IF_EQUAL, len(wanted) - place, 0, number) for place, number in enumerate(wanted)),
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, _ASK_SUPERVISOR),
    ]
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    questions = libc.syscall(numbers["seccomp"], _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program))
    if questions < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {errno.errorcode[ctypes.get_errno()]}")
    socket.send_fds(supervisor, [b"\0"], [questions])
    os.close(questions)
