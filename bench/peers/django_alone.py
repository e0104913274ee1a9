"""Django alone, for the HTTP measures: a view that inserts one row by the ORM, and `bulk_create`.

See `django_project`, which runs in a folder of its own with its database there.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.child import ROOT
from bench.peers.peer import run
from bench.posting import BATCH
from scripted.ports import free_port
from system.product import until

NAME = "Django alone"
PROGRAM = (sys.executable, "-m", "bench.peers.django_project")


@dataclass(frozen=True)
class Alone:
    """What runs.

    Attributes:
        port: of the view.
    """

    port: int
    _folder: Path

    def rows(self):
        """How many were inserted."""
        with closing(sqlite3.connect(self._folder / "letters.sqlite3")) as database:
            return database.execute("SELECT count(*) FROM bench_letter").fetchone()[0]


@contextmanager
def serving():
    """The view, behind its server."""
    with _folder() as folder:
        alone = Alone(free_port(), folder)
        command = [*PROGRAM, "serve", str(alone.port)]
        with subprocess.Popen(command, cwd=folder, env=_environment()) as server:
            try:
                until(lambda: _answers(alone.port), what="an answer of Django")
                yield alone
            finally:
                server.terminate()


def bulk(batches):
    """Seconds for so many batches."""
    with _folder() as folder:
        seconds = float(run(*PROGRAM, "bulk", batches, cwd=folder, env=_environment()))
        if (found := Alone(0, folder).rows()) != batches * BATCH:
            raise RuntimeError(f"Django has {found} rows instead of {batches * BATCH}")
    return seconds


@contextmanager
def _folder():
    with tempfile.TemporaryDirectory(prefix="vgm-bench-django-") as name:
        yield Path(name)


def _environment():
    return os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}


def _answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    except urllib.error.HTTPError:
        return True  # there is no such page, and nobody else would say so
    except OSError:
        return False
    return True
