"""A ledger of its own for one measurement: data directory, database, one connection, messages that wait."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from bench.child import ROOT
from bench.letters import SENDER

COMMAND = Path(sys.executable).with_name("vaguemestre")
FOREIGN = ("VAGUEMESTRE_", "DATABASE_URL", "DJANGO_", "PYTEST_")
CONNECTION = "bench"


class Ledger:
    """Exists from entering to leaving; its one connection, the default sender, leads to 127.0.0.1:port.

    Attributes:
        environment: for processes of the product that work on it.
    """

    def __init__(self, port, sessions, database_url=""):
        self._port, self._sessions = port, sessions
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self._home = Path(tempfile.mkdtemp(prefix="vgm-bench-ledger-"))
        self.environment = inherited | {
            "VAGUEMESTRE_DATA_DIR": str(self._home / "data"),
            "VAGUEMESTRE_EGRESS_ALLOW": "127.0.0.0/8",
            "VAGUEMESTRE_EGRESS_PORTS": "1-65535",
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "vaguemestre.settings",
        }

    def __enter__(self):
        self.run(COMMAND, "migrate")
        server = ("--host", "127.0.0.1", "--port", self._port, "--encryption", "none")
        limits = ("--max-sessions", self._sessions)
        self.connection("add", "--sender-email", SENDER, *server, *limits)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._home)

    def connection(self, verb, *words):
        """`vaguemestre connection VERB bench WORDS…`."""
        self.run(COMMAND, "connection", verb, CONNECTION, *words)

    def fill(self, messages, size):
        """Accept messages, which wait for a courier from then on."""
        self.run(sys.executable, "-m", "bench.fill", messages, size)

    def accepted(self):
        """How many deliveries of the embedded database a server accepted."""
        url = f"file:{self._home}/data/vaguemestre.sqlite3?mode=ro"
        with closing(sqlite3.connect(url, uri=True, timeout=20)) as database:
            query = "SELECT count(*) FROM ledger_delivery WHERE state = 'accepted'"
            return database.execute(query).fetchone()[0]

    def run(self, *command):
        done = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
