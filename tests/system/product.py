"""The whole product as its operator runs it: `vaguemestre up` on a data directory and ports of its own.

With `database="postgresql"` on a database of its own too, in a cluster that an unprivileged user runs.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psycopg

from cluster import commands, migrated
from cluster.migrated import COMMAND, EVERYTHING, without_foreign
from cluster.postgresql import new_database
from scripted.certificates import the_authority
from scripted.ports import free_port
from system.api import Api
from system.processes import descendants, parent_of

PATIENCE = 60.0  # seconds for a start on a loaded machine
GRACE = 30.0  # seconds from SIGTERM to the end of everything


def until(question, within=30.0, every=0.05, what="what was waited for"):
    """The first true answer to a question that is asked again and again."""
    deadline = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what} did not happen within {within} s"
        time.sleep(every)
    return answer


class Product:
    """Starts on entering, drains on leaving.

    Attributes:
        api: asks with a key that may do everything.
        command: the program `vaguemestre`; set before entering, it may be of another environment.
        key: that key.
        home: a directory that holds the data directory `data`, and `out` and `log`, the standard streams.
        database: `sqlite` or `postgresql`.
    """

    def __init__(self, *, database="sqlite", **variables):
        self.database, self.command = database, COMMAND
        self._things = contextlib.ExitStack()
        self.home = Path(tempfile.mkdtemp(prefix="vgm-system-"))
        self.data = self.home / "data"
        self.web_port, self.submission_port = free_port(), free_port()
        authority = the_authority().write(self.home)
        own = {
            "DATA_DIR": self.data,
            "WEB_BIND": f"127.0.0.1:{self.web_port}",
            "SUBMISSION_BIND": f"127.0.0.1:{self.submission_port}",
            "EGRESS_ALLOW": "127.0.0.0/8,::1/128",
            "EGRESS_PORTS": "1-65535",
            "RETRY_DELAYS": "1,2,4",
            "EXTRA_ROOTS": authority,
        }
        named = {f"VAGUEMESTRE_{name}": str(value) for name, value in own.items()}
        self.environment = without_foreign(os.environ) | named | variables
        self.running = None
        self.key = ""
        self.api = Api("127.0.0.1", self.web_port)

    def __enter__(self):
        try:
            self._make_database()
            self.start()
            self.key = self.key or self.new_key(*EVERYTHING)
        except BaseException:
            self._things.close()
            raise
        self.api.key = self.key
        return self

    def _make_database(self):
        """A migrated one; of another command an empty one, which that migrates by itself."""
        ours = self.command == COMMAND
        if ours:
            on_postgresql = self.database == "postgresql"
            made = migrated.opened_on_postgresql() if on_postgresql else migrated.opened_on_sqlite()
            shutil.copytree(made.data, self.data)
            self.key = made.key
        if self.database == "postgresql":
            database = new_database(migrated.TEMPLATE) if ours else new_database()
            self.environment["DATABASE_URL"] = self._things.enter_context(database)

    def __exit__(self, kind, *_):
        try:
            self.stop()
        finally:
            self._things.close()
            if kind is None:
                shutil.rmtree(self.home)
            else:
                sys.stderr.write(f"The product's logs:\n{self.logs()[-20_000:]}\nkept in {self.home}\n")

    def start(self):
        """Start `up` and wait until it is ready."""
        with (self.home / "out").open("ab") as out, (self.home / "log").open("ab") as log:
            self.running = subprocess.Popen(
                [self.command, "up", "--json"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        until(self._is_up, PATIENCE, what="readiness")

    def _is_up(self):
        assert self.running.poll() is None, f"`up` ended with {self.running.returncode}: {self.logs()}"
        return self.status("/readyz") == 200

    def status(self, path):
        """The status of an answer to GET; 0 where nobody answers, or is killed within the answer."""
        asking = Api("127.0.0.1", self.web_port)
        try:
            return asking.ask("GET", path).status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            asking.close()

    def stop(self):
        """SIGTERM; the answer is the seconds until everything had ended, which must be within `GRACE`."""
        self.api.close()
        if self.running is None:
            return 0.0
        family = [self.running.pid, *descendants(self.running.pid)]
        asked = time.monotonic()
        self.running.send_signal(signal.SIGTERM)
        try:
            self.running.wait(GRACE + 5)
            took = time.monotonic() - asked
            left = [pid for pid in family if parent_of(pid) is not None]
        finally:
            for pid in family:
                if parent_of(pid) is not None:
                    os.kill(pid, signal.SIGKILL)
            status, self.running = self.running.wait(), None
        assert took <= GRACE, f"it took {took:.1f} s to stop"
        assert not left, f"still running: {left}"
        assert status == 0, f"`up` ended with {status}"
        return took

    def child(self, name):
        """The process id of a child of `up`; None while it is down."""
        found = descendants(self.running.pid)
        below = [
            pid for pid, words in found.items() if words[-1:] == [name] and "vaguemestre" in " ".join(words)
        ]
        return next((pid for pid in below if parent_of(pid) == self.running.pid), None)

    def kill(self, name):
        """`kill -9` of a child; the answer is its process id."""
        pid = until(lambda: self.child(name), what=f"a running {name}")
        os.kill(pid, signal.SIGKILL)
        return pid

    def run(self, *words, text="", status=0):
        """A command of the product on the same data; its standard output."""
        words = [str(word) for word in words]
        done = self._perform(words, text)
        assert done.returncode == status, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout if status == 0 else done.stderr

    def _perform(self, words, text):
        if self.command == COMMAND:
            return commands.run(words, environment=self.environment, text=text)
        return subprocess.run(
            [self.command, *words],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def tell(self, *words, **options):
        """The same with --json; the parsed answer."""
        return json.loads(self.run(*words, "--json", **options))

    def new_key(self, *scopes):
        """The text of a new API key."""
        wanted = [word for scope in scopes for word in ("--scope", scope)]
        return self.tell("key", "create", f"test {time.monotonic_ns()}", *wanted)["key"]

    def logs(self):
        """What it wrote to its standard streams."""
        return "".join((self.home / name).read_text(errors="replace") for name in ("out", "log"))

    def message(self, uid):
        """A message as the API tells it."""
        return self.api.get(f"/messages/{uid}")

    def until_state(self, uid, *states, within=30.0):
        """Wait until a message is in one of the states; the message."""

        def there():
            found = self.message(uid)
            return found if found["state"] in states else None

        try:
            return until(there, within, 0.1)
        except AssertionError:
            found = self.message(uid)
            raise AssertionError(f"not {states} but {json.dumps(found, indent=1)}") from None

    def rows(self, query, *parameters):
        """What the database says, read beside the product; `?` stands for a parameter."""
        if self.database == "postgresql":
            with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as db:
                return db.execute(query.replace("%", "%%").replace("?", "%s"), parameters).fetchall()
        with closing(
            sqlite3.connect(f"file:{self.data}/vaguemestre.sqlite3?mode=ro", uri=True, timeout=20)
        ) as db:
            return db.execute(query, parameters).fetchall()
