"""What must be right before anything starts: data directory, keys, ports, and nobody else at work here.

Keys are made only where there is no data that another key may have sealed. Each function fails with `Failed`
and one sentence that says what to do.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import os
import secrets
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from vaguemestre import durable
from vaguemestre.cli import permissions
from vaguemestre.cli.failure import Failed, unusable
from vaguemestre.environment import SECRET_KEY_FILE, VAULT_KEY_FILE, Bind, Environment
from vaguemestre.variables import PREFIX

LOCK_FILE = "up.lock"
PORT_PATIENCE = 2.0  # seconds: children of an `up` that was killed let go of their ports
_TABLE = "ledger_instance"  # there once the database has been migrated


def data_directory(path: Path, *, create: bool = True) -> None:
    """Make it with mode 0700 if it is missing, and try to write in it."""
    try:
        if create:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise Failed(
            f"The data directory {path} cannot be written ({error.strerror}):"
            f" make it writable or set {PREFIX}DATA_DIR to another one."
        ) from None


def alone(path: Path) -> int:
    """Take the data directory for this process's life; the answer is the lock's descriptor, to be kept."""
    descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise Failed(
            f"Another `vaguemestre up`, or a `migrate`, is at work on {path}: stop it, or let it end, first."
        ) from None
    return descriptor


def keys(environment: Environment) -> bool:
    """Make the keys that are missing, if the database is still empty; the answer is whether one was made.

    One that is there and cannot be read is not missing: nothing is put in its place.
    """
    missing = [name for name, given in _key_files(environment) if not given]
    if not missing:
        return False
    unreadable = [permissions.unreadable(environment.data_dir / name, "The key") for name in missing]
    if any(unreadable):
        raise Failed(*filter(None, unreadable))
    if has_data(environment):
        raise Failed(*(_lost(environment.data_dir / name) for name in missing))
    for name in missing:
        key = secrets.token_urlsafe(48) if name == SECRET_KEY_FILE else _vault_key()
        durable.write(environment.data_dir / name, key)
    return True


def standing_keys(environment: Environment) -> None:
    """Look that both keys are there, for a process that makes none."""
    missing = [environment.data_dir / name for name, given in _key_files(environment) if not given]
    if missing:
        raise Failed(*(permissions.unreadable(path, "The key") or _lost(path) for path in missing))


def _key_files(environment: Environment) -> tuple[tuple[str, bool], ...]:
    return (
        (SECRET_KEY_FILE, environment.secret_key is not None),
        (VAULT_KEY_FILE, bool(environment.vault_keys)),
    )


def _lost(path: Path) -> str:
    variable = f"{PREFIX}SECRET_KEY" if path.name == SECRET_KEY_FILE else f"{PREFIX}VAULT_KEYS"
    remedy = f"restore it from a backup or set {variable} to its value."
    return f"The key {path} is missing beside existing data: {remedy}"


def _vault_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def has_data(environment: Environment) -> bool:
    """Whether the database has been set up already."""
    return (
        _sqlite_has_data(environment.database_file)
        if environment.on_sqlite
        else _postgresql_has_data(environment)
    )


def _sqlite_has_data(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    if unreadable := permissions.unreadable(path, "The database"):
        raise Failed(unreadable)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [_TABLE]).fetchone()
            return found is not None
    except sqlite3.Error as error:
        raise Failed(f"The database {path} cannot be read ({error}): restore it from a backup.") from None


def _postgresql_has_data(environment: Environment) -> bool:
    import psycopg  # noqa: PLC0415  a start on SQLite is quicker without it

    try:
        with psycopg.connect(environment.database_url.reveal(), connect_timeout=10) as database:
            found = database.execute("SELECT to_regclass(%s)", [_TABLE]).fetchone()
            return found is not None and found[0] is not None
    except psycopg.Error as error:
        raise Failed(unusable("The database of DATABASE_URL", error)) from None


def ports(environment: Environment) -> None:
    """Try every address that will be listened on."""
    wanted = {
        f"{PREFIX}WEB_BIND": environment.web_bind,
        f"{PREFIX}SUBMISSION_BIND": environment.submission_bind,
        f"{PREFIX}SUBMISSION_TLS_BIND": environment.submission_tls_bind,
    }
    deadline = time.monotonic() + PORT_PATIENCE
    for variable, bind in wanted.items():
        while bind is not None and _busy(variable, bind, deadline):
            time.sleep(0.1)


def free(variable: str, bind: Bind, *, shared: bool) -> None:
    """Try one address; `shared` with those that share theirs, as the processes of `web` do."""
    with socket.socket(socket.AF_INET6 if ":" in bind.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        try:
            probe.bind((bind.host, bind.port))
        except OSError as error:
            raise Failed(_bind_sentence(variable, bind, error.errno)) from error


def _busy(variable: str, bind: Bind, deadline: float) -> bool:
    """Whether to wait for the address a little longer."""
    try:
        free(variable, bind, shared=False)
    except Failed as failed:
        reason = failed.__cause__
        if isinstance(reason, OSError) and reason.errno == errno.EADDRINUSE and time.monotonic() < deadline:
            return True
        raise
    return False


def _bind_sentence(variable: str, bind: Bind, number: int | None) -> str:
    match number:
        case errno.EADDRINUSE:
            return f"Port {bind.port} on {bind.host} is in use: stop what uses it, or change {variable}."
        case errno.EACCES:
            return f"Port {bind.port} may not be opened by this user: set {variable} to a port above 1023."
    return f"{bind} is not an address of this machine: change {variable}."
