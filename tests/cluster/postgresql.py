"""A PostgreSQL cluster for one test run, on a Unix socket in a directory of its own."""

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg


def binaries():
    """The directory of initdb and pg_ctl, or None where PostgreSQL is not installed."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((path for path in candidates if (path / "initdb").exists()), None)


def start_cluster():
    """Start it, stop it at exit; the answer is its DATABASE_URL."""
    programs = binaries()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    # PostgreSQL refuses to run as root; the account that the package made runs it then.
    user = "postgres" if os.geteuid() == 0 else None
    home = tempfile.mkdtemp(prefix="vgm-pg-")
    if user:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
    atexit.register(shutil.rmtree, home, ignore_errors=True)

    def run(*command):
        subprocess.run(
            [str(part) for part in command],
            user=user,
            cwd=home,
            check=True,
            stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": home},
        )

    run(
        programs / "initdb",
        "-D",
        f"{home}/data",
        "-A",
        "trust",
        "-U",
        "vaguemestre",
        "-E",
        "UTF8",
        "--no-sync",
    )
    # With fsync, without which the product does not start; in memory (`tools/test`) it costs nothing.
    options = f"-k {home} -c listen_addresses='' -c max_connections=300"
    run(programs / "pg_ctl", "-D", f"{home}/data", "-w", "-l", f"{home}/log", "-o", options, "start")
    atexit.register(run, programs / "pg_ctl", "-D", f"{home}/data", "-m", "immediate", "stop")
    return f"postgresql://vaguemestre@{home.replace('/', '%2F')}/postgres"


@functools.cache
def the_cluster():
    """The URL of a cluster that everything in this test run may use, each in a database of its own."""
    return start_cluster()


@contextlib.contextmanager
def new_database():
    """The URL of an empty database of `the_cluster`, which is dropped on leaving."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(the_cluster(), autocommit=True) as administrator:
        administrator.execute(f"CREATE DATABASE {name}")
        try:
            yield the_cluster().removesuffix("postgres") + name
        finally:
            administrator.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
