"""Logs: events with fields on standard error, `key=value` on a terminal, JSON elsewhere.

Promise: a reader that stalls or goes away never stops the work. Lines are written by a thread of their own;
when it falls behind by more than `BACKLOG` lines, further ones are dropped and counted. Tracebacks are kept
without local variables, which may hold secrets.

Our own events go straight to that thread; only what libraries log passes through the standard library's
records, which cost several times as much. Under load a line is written for every delivery.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

BACKLOG = 10_000  # lines
GATHER = 0.02  # seconds between two writes, so that one takes what came meanwhile
TOGETHER = 256  # lines of one write
FLUSH = 1.0  # seconds granted at the process's end


class Forwarding(logging.Handler):
    """A handler that never blocks and never fails."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[str] = queue.Queue(BACKLOG)
        self._dropped = 0
        threading.Thread(target=self._forward, name="logs", daemon=True).start()
        atexit.register(self.drain)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line."""
        self.forward(self.format(record))

    def forward(self, line: str) -> None:
        """Queue a line, or count it as dropped."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def drain(self) -> None:
        """Wait until all is written, for at most `FLUSH` seconds."""
        deadline = time.monotonic() + FLUSH
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)

    def _forward(self) -> None:
        while True:
            lines = [self._lines.get()]
            while len(lines) < TOGETHER and not self._lines.empty():
                lines.append(self._lines.get())
            if self._dropped:
                lines[-1], self._dropped = f"{lines[-1]} log_lines_dropped={self._dropped}", 0
            self._write("".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"))
            for _ in lines:
                self._lines.task_done()
            time.sleep(GATHER)

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            return  # nobody reads


class Alone(logging.Handler):
    """A handler for a process that is to keep to its one thread: a line that nobody has room for is dropped.

    It is of few words: what is longer than a pipe surely has room for is cut.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line."""
        self.forward(self.format(record))

    def forward(self, line: str) -> None:
        """Write a line, if it can be written at once."""
        data = line.encode(errors="backslashreplace")[: select.PIPE_BUF - 1] + b"\n"
        with suppress(OSError):  # nobody reads
            if select.select([], [self._descriptor], [], 0)[1]:
                os.write(self._descriptor, data)


class _Events:
    """What structlog writes to, under the names of its levels: a queue of lines."""

    def __init__(self, forward: Callable[[str], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = forward


def configure(level: int = logging.INFO) -> None:
    """Send structlog and the standard library's logging, from `level` on, in one form to standard error."""
    _send_to(Forwarding(sys.stderr.fileno()), level)


def configure_alone() -> None:
    """The same without a thread, for `up`, from which others are forked."""
    _send_to(Alone(sys.stderr.fileno()), logging.INFO)


def _send_to(handler: Forwarding | Alone, level: int) -> None:
    form = _form()
    events = _Events(handler.forward)
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *form],
        logger_factory=lambda *_: events,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *form],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # Each request that is refused would be a warning whose event is a sentence; who asked has the answer.
    logging.getLogger("django.request").setLevel(logging.ERROR)


def _form() -> list[Processor]:
    if sys.stderr.isatty():
        order = ["timestamp", "level", "event"]
        return [
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=order, drop_missing=True),
        ]
    return [
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(serializer=_as_json),
    ]


def _as_json(event: object, **_: object) -> str:
    try:
        return orjson.dumps(event, repr, orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half of a surrogate pair, a number beyond 64 bits
        return json.dumps(event, default=repr)
