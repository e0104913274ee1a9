"""Logs: events with fields on standard error, `key=value` on a terminal, JSON elsewhere.

Promise: a reader that stalls or goes away never stops the work. Lines are written by a thread of their own;
when it falls behind by more than `BACKLOG` lines, further ones are dropped and counted. Tracebacks are kept
without local variables, which may hold secrets.

Our own events go straight to that thread, which makes the lines; only what libraries log passes through the
standard library's records, which cost several times as much. Under load a line is written for every delivery.
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
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor

BACKLOG = 10_000  # lines
GATHER = 0.02  # seconds between two writes, so that one takes what came meanwhile
TOGETHER = 256  # lines of one write
_NAME = 100  # characters of a host that was asked for
FLUSH = 1.0  # seconds granted at the process's end
_LEVELS = ("debug", "info", "warning", "error", "critical")


class Forwarding(logging.Handler):
    """A handler that never blocks and never fails."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.SimpleQueue[str | EventDict | threading.Event] = queue.SimpleQueue()
        self._dropped = 0
        threading.Thread(target=self._forward, name="logs", daemon=True).start()
        atexit.register(self.drain)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line."""
        self.forward(self.format(record))

    def forward(self, line: str | EventDict) -> None:
        """Queue a line, or what makes one; or count it as dropped."""
        if self._lines.qsize() < BACKLOG:
            self._lines.put(line)
        else:
            self._dropped += 1

    def drain(self) -> bool:
        """Wait until all is written, for at most `FLUSH` seconds; whether it was."""
        written = threading.Event()
        self._lines.put(written)
        return written.wait(FLUSH)

    def _forward(self) -> None:
        while True:
            taken = [self._lines.get()]
            while len(taken) < TOGETHER and not self._lines.empty():
                taken.append(self._lines.get())
            waiting = [one for one in taken if isinstance(one, threading.Event)]
            lines = [_line(one) for one in taken if not isinstance(one, threading.Event)]
            if self._dropped:
                lines.append(orjson.dumps({"event": "log_lines_dropped", "lines": self._dropped}))
                self._dropped = 0
            self._write(b"".join([line + b"\n" for line in lines]))
            for one in waiting:
                one.set()
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

    def forward(self, line: str | EventDict) -> None:
        """Write a line, if it can be written at once."""
        data = _line(line)[: select.PIPE_BUF - 1] + b"\n"
        with suppress(OSError):  # nobody reads
            if select.select([], [self._descriptor], [], 0)[1]:
                os.write(self._descriptor, data)


class _Events:
    """What structlog writes to, under the names of its levels: a queue of lines."""

    def __init__(self, forward: Callable[[str | EventDict], None]) -> None:
        self.forward = self.debug = self.info = self.warning = self.error = self.critical = forward


def configure(level: int = logging.INFO) -> None:
    """Send structlog and the standard library's logging, from `level` on, in one form to standard error."""
    _send_to(Forwarding(sys.stderr.fileno()), level)


def configure_alone() -> None:
    """The same without a thread, for `up`, from which others are forked."""
    _send_to(Alone(sys.stderr.fileno()), logging.INFO)


def _send_to(handler: Forwarding | Alone, level: int) -> None:
    form = _form()
    events = _Events(handler.forward)
    straight = not sys.stderr.isatty()
    structlog.configure(
        processors=[*_SHARED, *form],
        logger_factory=lambda *_: events,
        wrapper_class=_straight(level) if straight else structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *form],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("django.request").setLevel(
        logging.ERROR
    )  # of one that is refused, who asked has the answer
    handler.addFilter(_named)


def _named(record: logging.LogRecord) -> bool:
    """Give what Django says of a request an event's name and fields in place of a sentence with its path.

    The route stands for the path, which may hold a one-time link.
    """
    request = record.__dict__.pop("request", None) if record.name.startswith("django.") else None
    if request is None:
        return True
    match record.name:
        case "django.security.DisallowedHost":
            # Whoever looks for servers asks by any name: no error of ours, and no traceback.
            record.msg, record.exc_info = "host_refused", None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.host = request.META.get("HTTP_HOST", "")[:_NAME]
            record.hint = "people and applications come by the host of VAGUEMESTRE_BASE_URL, or by localhost"
        case "django.security.csrf":
            record.msg, record.why = "form_refused", str((record.args or ("",))[0])  # type: ignore[index]
        case name if name.startswith("django.security"):
            record.msg = "request_refused"
        case _:
            record.msg = "request_failed" if record.exc_info else "request_answered"
    record.args = ()
    record.method, record.route = request.method, getattr(request.resolver_match, "route", None)
    return True


_SHARED: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_exceptions = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def _straight(level: int) -> type:
    """A logger whose events go the straight way; that through processors takes four times as long."""
    levels = logging.getLevelNamesMapping()
    told = {name: _noting(name) for name in _LEVELS if levels[name.upper()] >= level}
    return type("Straight", (structlog.make_filtering_bound_logger(level),), told)


def _noting(level: str) -> Callable[..., None]:
    def note(logger: Any, event: str, /, **fields: Any) -> None:
        """All that has to be done at once; the thread that writes makes the line."""
        noted: EventDict = {**logger._context, **fields} if logger._context else fields  # noqa: SLF001
        noted["event"] = event
        if "exc_info" in noted:
            noted = _exceptions(logger, level, noted)
        noted["level"], noted["timestamp"] = level, time.time_ns()
        logger._logger.forward(noted)  # noqa: SLF001

    return note


def _line(noted: str | EventDict) -> bytes:
    if isinstance(noted, str):
        return noted.encode(errors="backslashreplace")
    at = noted["timestamp"]
    noted["timestamp"] = f"{_second(at // 1_000_000_000)}.{str(at)[-9:-3]}Z"
    try:
        return orjson.dumps(noted, repr)  # names are text: nearly always all that is needed
    except Exception:  # noqa: BLE001  whatever a field holds, the thread goes on
        return _line_of(noted)


def _line_of(noted: EventDict) -> bytes:
    """The same of what is unusual: keys that are no text, numbers beyond 64 bits, what has no form at all."""
    try:
        line = _as_json(noted)
    except Exception:  # noqa: BLE001  as above
        line = _as_json({key: str(noted.get(key)) for key in ("event", "level", "timestamp")})
    return line.encode(errors="backslashreplace")


@lru_cache(maxsize=1)
def _second(number: int) -> str:
    """It mostly has more lines than one."""
    return datetime.fromtimestamp(number, UTC).isoformat()[:-6]


def _form() -> list[Processor]:
    if sys.stderr.isatty():
        order = ["timestamp", "level", "event"]
        return [
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=order, drop_missing=True),
        ]
    return [
        _exceptions,
        structlog.processors.JSONRenderer(serializer=_as_json),
    ]


def _as_json(event: object, **_: object) -> str:
    try:
        return orjson.dumps(event, repr, orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half of a surrogate pair, a number beyond 64 bits
        return json.dumps(event, default=repr)
