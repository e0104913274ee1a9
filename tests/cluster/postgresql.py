"""A PostgreSQL cluster for one test run, on a Unix socket in a directory of its own."""

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path


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
    options = f"-k {home} -c listen_addresses='' -c max_connections=150"
    run(programs / "pg_ctl", "-D", f"{home}/data", "-w", "-l", f"{home}/log", "-o", options, "start")
    atexit.register(run, programs / "pg_ctl", "-D", f"{home}/data", "-m", "immediate", "stop")
    return f"postgresql://vaguemestre@{home.replace('/', '%2F')}/postgres"
