"""Keeps the processes of one machine running, and ends them together.

A child that ends is started again after 0.1 s, doubling to 5 s; back to 0.1 s once it had been ready.
The first SIGTERM or SIGINT lets all drain for 28 s, then kills what is left; the second kills at once. Should
this process die, the kernel tells the children (`process.die_with_parent`). No Django and no database here,
so that the supervisor is small and outlives both.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
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


def command(name: str) -> list[str]:
    """How a child is started, so that it shows as `vaguemestre NAME` in the list of processes."""
    beside = Path(sys.executable).with_name("vaguemestre")
    return [sys.executable, str(beside if beside.exists() else Path(sys.argv[0]).absolute()), name]


@dataclass(eq=False)
class Child:
    """A process that is to be running.

    Attributes:
        waited: seconds between its last end and its start after that.
        due: when to start it next, on the monotonic clock; meaningless while it runs.
        pipe: where it will say that it is ready; None once it has, or while it is down.
    """

    name: str
    waited: float = 0.0
    due: float = 0.0
    running: subprocess.Popen[bytes] | None = None
    pipe: int | None = None
    ready_at: float | None = None

    def __repr__(self) -> str:
        return f"<Child {self.name} {self.running.pid if self.running else 'down'}>"


class Supervisor:
    """The loop. `on_ready` is called once, when the child `web` first says that it is ready."""

    def __init__(
        self, names: tuple[str, ...], variables: Mapping[str, str], on_ready: Callable[[], None]
    ) -> None:
        self.children = [Child(name) for name in names]
        self._variables = {**variables, process.PARENT: str(os.getpid())}
        self._on_ready = on_ready
        self._announced = False
        self._signals = 0
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Start all, keep them running, return when all have ended after a signal."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        reader.setblocking(False)
        self._selector.register(reader, selectors.EVENT_READ)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._note)
        while not self._signals:
            self._start_due()
            self._wait(reader, self._next_due())
            self._reap()
        self._drain(reader)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._signals += 1

    def _start_due(self) -> None:
        for child in self.children:
            if child.running is None and child.due <= time.monotonic():
                self._start(child)

    def _start(self, child: Child) -> None:
        child.pipe, given = os.pipe()
        try:
            # A group of its own: Ctrl-C reaches `up` alone, which then drains everything in order.
            child.running = subprocess.Popen(  # noqa: S603  our own program
                command(child.name),
                env={**self._variables, process.READY: str(given)},
                pass_fds=(given,),
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        finally:
            os.close(given)
        child.ready_at = None
        self._selector.register(child.pipe, selectors.EVENT_READ, child)

    def _next_due(self) -> float | None:
        waiting = [child.due for child in self.children if child.running is None]
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
            status = child.running.poll() if child.running else None
            if child.running is not None and status is not None:
                self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        now = time.monotonic()
        was_ready = child.ready_at is not None and now - child.ready_at >= SETTLED
        child.waited = restart_delay(child.waited, was_ready=was_ready)
        child.due, child.running = now + child.waited, None
        self._close_pipe(child)
        log.warning("process_ended", process=child.name, status=status, restart_in=child.waited)

    def _drain(self, reader: socket.socket) -> None:
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN
        while any(child.running and child.running.poll() is None for child in self.children):
            if self._signals > 1 or time.monotonic() >= deadline:
                self._signal_all(signal.SIGKILL)
                break
            self._wait(reader, max(0.0, deadline - time.monotonic()))
        for child in self.children:
            if child.running:
                child.running.wait()

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self.children:
            if child.running:
                child.running.send_signal(number)
