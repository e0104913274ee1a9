"""`vaguemestre web`: the console and the HTTP API under Granian, in one worker with several threads.

WSGI, since the durable intake view answers more than twice as many requests under it as under ASGI
(docs/adr/0005). Requests are served by threads, so that a verification, which takes up to 15 s, keeps no
other request waiting. The worker is a process below this one and dies with it. For more of them, start more
`vaguemestre web` on PostgreSQL: they share the port.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django.urls import get_resolver
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from vaguemestre.cli import logs, preparation, process, silence
from vaguemestre.cli.loading import load_django, load_for_children
from vaguemestre.environment import Bind, Environment
from vaguemestre.ledger.database import on_postgresql
from vaguemestre.ledger.sqlite.copying import copier

THREADS = 32  # requests at a time; most wait for the disk, some for their bodies (`doors.api.rooms`)
BACKPRESSURE = 256  # connections at a time
IDLE = 600  # seconds until an idle thread ends, and its database connection with it
YOUNG = 10_000  # objects between two looks for garbage: a batch's all stay until its answer
SWITCH = 0.001  # seconds until a thread that computes lets another one go on, at each of its steps
LARGE = 131_072  # bytes of memory at a stretch that go back to the system once they are free
DRAIN = 20  # seconds for requests in progress, once told to stop
_M_MMAP_THRESHOLD = -3  # mallopt(3)
# Granian's messages go where all others do, and only when something is wrong.
LOGGING: dict[str, Any] = {"handlers": {}, "loggers": {"_granian": {"handlers": []}, "granian.access": {}}}
# Granian copies the process's variables into every request: no secret and no HTTP_ name may be among them.
PRIVATE = ("VAGUEMESTRE_", "DATABASE_URL", "HTTP_")


def declare(parser: argparse.ArgumentParser) -> None:
    """`web` takes nothing: the environment says where it listens."""
    parser.set_defaults(run=_web)


def _web(arguments: argparse.Namespace) -> int:
    environment: Environment = arguments.environment
    bind = environment.web_bind
    preparation.free("VAGUEMESTRE_WEB_BIND", bind, shared=True)
    if process.is_alone():
        # Before the fork, where it ends the command with its sentence; the worker has what was loaded for it.
        logs.configure_alone()
        load_for_children(("vaguemestre.wsgi",))
        importlib.import_module("vaguemestre.cli.database").stand_alone(environment)
    # Forked, so that the worker keeps this command's name and the descriptor on which it says it is ready.
    # There is one thread here until then.
    multiprocessing.set_start_method("fork")
    _let_it_end_while_it_loads()
    Granian(
        "vaguemestre.wsgi:application",
        address=bind.host,
        port=bind.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        blocking_threads=THREADS,
        blocking_threads_idle_timeout=IDLE,
        backpressure=BACKPRESSURE,
        workers_kill_timeout=DRAIN,
        log_level=LogLevels.error,
        log_dictconfig=LOGGING,
    ).serve(target_loader=partial(_application, environment))
    return 0


def _let_it_end_while_it_loads() -> None:
    """Have a SIGTERM end a worker that does not serve yet.

    By its parent's handlers, which it begins with, it would take no notice, and be killed after `DRAIN`.
    """
    told = (signal.SIGTERM,)
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, told),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, told),
        after_in_child=_end_when_told,
    )


def _end_when_told() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))


def _application(environment: Environment, target: str) -> Callable[..., Any]:
    """In the worker: the application. Should its parent be killed it dies too, or it would keep the port."""
    process.die_with(os.getppid(), signal.SIGKILL)
    process.repeat_signals()
    sys.setswitchinterval(SWITCH)
    _give_memory_back()
    load_django(environment)
    module, _, name = target.partition(":")
    application: Callable[..., Any] = getattr(importlib.import_module(module), name)
    # Now rather than with the first request, and not ready while a page cannot be loaded.
    get_resolver().check()
    # What is loaded stays: looking through it for garbage would stop every thread for a tenth of a second.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    if not on_postgresql():
        copier.start()
    threading.Thread(target=silence.watch, args=(environment.web_bind.port,), daemon=True).start()
    threading.Thread(
        target=_announce, args=(environment.web_bind, process.ready_descriptor()), daemon=True
    ).start()
    for variable in [name for name in os.environ if name.startswith(PRIVATE)]:
        del os.environ[variable]
    return application


def _give_memory_back() -> None:
    """Have the C library give large pieces back to the system once they are free.

    It would learn from the first to keep them, for each thread apart.
    """
    with suppress(AttributeError):  # another library than glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE)


def _announce(bind: Bind, descriptor: int | None) -> None:
    """Say that this process is ready, once it answers."""
    while True:
        try:
            socket.create_connection((bind.host, bind.port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            process.tell_ready(descriptor)
            return
