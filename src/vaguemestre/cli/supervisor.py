"""Keeps the processes of one machine running, and ends them together.

A child that ends is started again after 0.1 s, doubling to 5 s; back to 0.1 s once it had been ready.
The first SIGTERM or SIGINT lets all drain for 28 s, then kills what is left; the second kills at once. Should
this process die, the kernel tells the children (`process.fork`).

Children are forked from this process, which has loaded what all of them need and then does nothing but this:
it has one thread, opens no database and no network socket, so that a child begins as clean at its tenth start
as at its first (docs/adr/0028).
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

import structlog

from vaguemestre.cli import process

FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0  # seconds before a child is started again
SETTLED = 0.5  # seconds that a child has to live after it said it was ready
DRAIN = 28.0  # seconds until what has not ended is killed

log = structlog.get_logger()


def restart_delay(waited: float, *, was_ready: bool) -> float:
    """Seconds until an ended child is started again; `waited` is what it was the last time, 0 at first."""
    return FIRST_DELAY if was_ready or not waited else min(waited * 2, LONGEST_DELAY)


@dataclass(eq=False)
class Child:
    """A process that is to be running.

    Attributes:
        waited: seconds between its last end and its start after that.
        due: when to start it next, on the monotonic clock; meaningless while it runs.
        pid: its process id; None while it is down.
        pipe: where it will say that it is ready; None once it has, or while it is down.
    """

    name: str
    waited: float = 0.0
    due: float = 0.0
    pid: int | None = None
    pipe: int | None = None
    ready_at: float | None = None

    def __repr__(self) -> str:
        return f"<Child {self.name} {self.pid or 'down'}>"


class Supervisor:
    """The loop. `on_ready` is called once, when the child `web` first says that it is ready."""

    def __init__(self, names: tuple[str, ...], on_ready: Callable[[], None]) -> None:
        self.children = [Child(name) for name in names]
        self._on_ready = on_ready
        self._announced = False
        self._signals = 0
        # Not epoll, of which a child would share the kernel's list with this process.
        self._selector = selectors.PollSelector()

    def run(self) -> None:
        """Start all, keep them running, return when all have ended after a signal.

        Raises:
            Born: in a child.
        """
        reader, writer = socket.socketpair()
        try:
            self._listen(reader, writer)
            while not self._signals:
                self._start_due()
                self._wait(reader, self._next_due())
                self._reap()
            self._drain(reader)
        finally:
            self._let_go(reader, writer)

    def _listen(self, reader: socket.socket, writer: socket.socket) -> None:
        writer.setblocking(False)
        reader.setblocking(False)
        self._selector.register(reader, selectors.EVENT_READ)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._note)

    def _let_go(self, *ends: socket.socket) -> None:
        """Close all that is this process's own: it is over, or this is a child."""
        signal.set_wakeup_fd(-1)
        for child in self.children:
            self._close_pipe(child)
        self._selector.close()
        for end in ends:
            end.close()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._signals += 1

    def _start_due(self) -> None:
        for child in self.children:
            if child.pid is None and child.due <= time.monotonic():
                self._start(child)

    def _start(self, child: Child) -> None:
        child.pipe, given = os.pipe()
        child.ready_at = None
        self._selector.register(child.pipe, selectors.EVENT_READ, child)
        try:
            child.pid = process.fork(child.name, ready=given)
        except OSError as error:
            self._close_pipe(child)
            self._put_off(child, was_ready=False)
            log.warning("process_not_started", process=child.name, error=str(error), again_in=child.waited)
        os.close(given)

    def _next_due(self) -> float | None:
        waiting = [child.due for child in self.children if child.pid is None]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def _wait(self, reader: socket.socket, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                with suppress(BlockingIOError):
                    reader.recv(4096)
            else:
                self._read(key.data)

    def _read(self, child: Child) -> None:
        """A child's pipe has a byte when it is ready, and ends when it lets go of it."""
        if child.pipe is not None and os.read(child.pipe, 1):
            child.ready_at = time.monotonic()
            if child.name == "web" and not self._announced:
                self._announced = True
                self._on_ready()
        self._close_pipe(child)

    def _close_pipe(self, child: Child) -> None:
        if child.pipe is not None:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.pipe = None

    def _reap(self) -> None:
        for child in self.children:
            status = _status(child)
            if status is not None:
                self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        self._put_off(child, was_ready=_settled(child))
        self._close_pipe(child)
        log.warning("process_ended", process=child.name, status=status, restart_in=child.waited)

    def _put_off(self, child: Child, *, was_ready: bool) -> None:
        child.waited = restart_delay(child.waited, was_ready=was_ready)
        child.due, child.pid = time.monotonic() + child.waited, None

    def _drain(self, reader: socket.socket) -> None:
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN
        while self._some_run():
            if self._signals > 1 or time.monotonic() >= deadline:
                self._signal_all(signal.SIGKILL)
                break
            self._wait(reader, max(0.0, deadline - time.monotonic()))
        for child in self.children:
            if child.pid is not None:
                os.waitpid(child.pid, 0)

    def _some_run(self) -> bool:
        for child in self.children:
            if _status(child) is not None:
                child.pid = None
        return any(child.pid is not None for child in self.children)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self.children:
            if child.pid is not None:
                os.kill(child.pid, number)


def _settled(child: Child) -> bool:
    return child.ready_at is not None and time.monotonic() - child.ready_at >= SETTLED


def _status(child: Child) -> int | None:
    """How it ended, a signal as a negative number; None while it runs, or is down."""
    if child.pid is None:
        return None
    found, status = os.waitpid(child.pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None
