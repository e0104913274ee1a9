"""Logs: events with fields on standard error, `key=value` on a terminal, JSON elsewhere.

Promise: a reader that stalls or goes away never stops the work. Lines are written by a thread of their own;
when it falls behind by more than `BACKLOG` lines, further ones are dropped and counted. Tracebacks are kept
without local variables, which may hold secrets.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import sys
import threading
import time

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

BACKLOG = 10_000  # lines
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
        """Queue the record's line, or count it as dropped."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1

    def drain(self) -> None:
        """Wait until all is written, for at most `FLUSH` seconds."""
        deadline = time.monotonic() + FLUSH
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)

    def _forward(self) -> None:
        while True:
            line = self._lines.get()
            if self._dropped:
                line, self._dropped = f"{line} log_lines_dropped={self._dropped}", 0
            self._write(f"{line}\n".encode(errors="backslashreplace"))
            self._lines.task_done()

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            return  # nobody reads


def configure(level: int = logging.INFO) -> None:
    """Send structlog and the standard library's logging, from `level` on, in one form to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = Forwarding(sys.stderr.fileno())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_form()],
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
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
