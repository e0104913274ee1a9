"""A PostgreSQL cluster for one test run, on a Unix socket in a directory of its own."""

import contextlib
import functools
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from cluster.shared import begin, folder, made_once


def binaries():
    """The directory of initdb and pg_ctl, or None where PostgreSQL is not installed."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((path for path in candidates if (path / "initdb").exists()), None)


@functools.cache
def the_cluster():
    """The URL of a cluster that everything in this test run may use, each in a database of its own."""
    begin(at_end=stop)
    return made_once("cluster", _start).read_text()


def _start(path):
    home = folder() / "postgresql"
    home.mkdir(mode=0o755)
    if user := _user():
        shutil.chown(home, user)
    initdb = "initdb -A trust -U vaguemestre -E UTF8 --no-sync -D"
    _run(home, *initdb.split(), home / "data")
    # With fsync, without which the product does not start; in memory (`tools/test`) it costs nothing.
    options = f"-k {home} -c listen_addresses='' -c max_connections=300"
    _run(home, "pg_ctl", "-D", home / "data", "-w", "-l", home / "log", "-o", options, "start")
    path.write_text(f"postgresql://vaguemestre@{str(home).replace('/', '%2F')}/postgres")


def stop():
    """Stop it if anybody started it."""
    home = folder() / "postgresql"
    if (home / "data" / "postmaster.pid").exists():
        _run(home, "pg_ctl", "-D", home / "data", "-m", "immediate", "stop")


def _user():
    """PostgreSQL refuses to run as root; the account that the package made runs it then."""
    return "postgres" if os.geteuid() == 0 else None


def _run(home, program, *words):
    programs = binaries()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    subprocess.run(
        [str(programs / program), *map(str, words)],
        user=_user(),
        cwd=home,
        check=True,
        stdout=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)},
    )


@contextlib.contextmanager
def new_database(template="template1"):
    """The URL of a database of `the_cluster`, empty or a copy of another one, which is dropped on leaving."""
    name = f"t{uuid.uuid4().hex}"
    administer(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield url_of(name)
    finally:
        administer(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def administer(statement):
    """Run a statement on the cluster itself."""
    import psycopg

    with psycopg.connect(the_cluster(), autocommit=True) as administrator:
        administrator.execute(statement)


def url_of(name):
    """The URL of a database of `the_cluster`."""
    return the_cluster().removesuffix("postgres") + name
