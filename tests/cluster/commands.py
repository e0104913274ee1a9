"""Commands of the product as processes of their own, forked from one that has loaded the libraries.

A command line takes 0.7 s of the processor where its interpreter is new, nearly all of it for what it imports; a
forked one takes a third of that. It has the environment, standard streams, exit and status of a new program.
Nothing is loaded before the fork that asks the environment: neither Django's settings nor what needs them.

The program itself, `COMMAND`, is what `cluster.migrated` and each `up` of the tests run.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile

LOADED = (
    "cryptography.x509", "django.contrib.admin.utils", "django.core.management", "django.db.backends.sqlite3.base",
    "django.db.migrations.executor", "django.db.models", "django.template.loader", "django.views.generic",
    "structlog.typing", "vaguemestre.cli.main", "vaguemestre.egress", "vaguemestre.http_transport", "vaguemestre.policy.verdict",
    "vaguemestre.smtp.opening",
)  # fmt: skip
STATUS = struct.Struct("i")


def run(words, *, environment, text="", within=60.0):
    """What `subprocess.run()` answers for the command with that on its standard input."""
    with contextlib.ExitStack() as things:
        streams = [things.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        streams[0].write(text.encode())
        streams[0].seek(0)
        here, there = map(things.enter_context, socket.socketpair())
        socket.send_fds(_loader(), [b"!"], [there.fileno(), *(stream.fileno() for stream in streams)])
        there.close()
        here.settimeout(within)
        here.sendall(json.dumps([list(words), dict(environment)]).encode())
        here.shutdown(socket.SHUT_WR)
        child = here.recv(STATUS.size)
        try:
            told = here.recv(STATUS.size)
        except TimeoutError:
            os.kill(*STATUS.unpack(child), signal.SIGKILL)
            raise
        assert told, f"{words}: what was to run it has died"
        output, errors = (_all(stream) for stream in streams[1:])
        return subprocess.CompletedProcess(words, STATUS.unpack(told)[0], output, errors)


def _all(stream):
    stream.seek(0)
    return stream.read().decode()


@functools.cache
def _loader():
    """The socket of the process that forks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        words = [sys.executable, "-P", __file__, str(theirs.fileno())]
        process = subprocess.Popen(words, pass_fds=[theirs.fileno()])
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def serve(asked):
    """Fork for each that asks, until nobody can any more."""
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy all that is shared
    while True:
        octet, files, _, _ = socket.recv_fds(asked, 1, 4)
        if not octet:
            return 0
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            asked.close()
            return _answer(*files)
        for file in files:
            os.close(file)


def _answer(caller, *streams):
    """Have a child of this process perform the command, and tell how that ended."""
    with socket.socket(fileno=caller) as wanting:
        words, environment = json.loads(b"".join(iter(lambda: wanting.recv(65_536), b"")))
        child = os.fork()
        if child:
            wanting.sendall(STATUS.pack(child))
            with contextlib.suppress(BrokenPipeError):  # it took too long, and was killed
                wanting.sendall(STATUS.pack(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
            os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["vaguemestre", *words]
    return importlib.import_module("vaguemestre.cli.main").main()


if __name__ == "__main__":
    sys.exit(serve(socket.socket(fileno=int(sys.argv[1]))))
