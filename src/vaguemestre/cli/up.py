"""`vaguemestre up`: everything on this machine.

Looks that data directory, keys and ports are right, loads once what all processes need, migrates, prints one
line with the address, and keeps `web`, `submission` and `courier` running until it is told to stop. They and
the migration are forked from this process, and share with it the memory of what was loaded (docs/adr/0028).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys

from vaguemestre.cli import loading, logs, preparation, process
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.supervisor import Supervisor
from vaguemestre.environment import Environment

PROCESSES = ("web", "submission", "courier")
# What they would load one after the other, some of it with their first query.
SHARED = (
    *(f"vaguemestre.cli.{name}" for name in PROCESSES),
    "vaguemestre.wsgi",
    "django.db.models.sql.compiler",
)


def declare(parser: argparse.ArgumentParser) -> None:
    """`up` takes nothing but --json, for its one line."""
    parser.add_argument("--json", action="store_true", help="print the one line as JSON")
    parser.set_defaults(run=_up)


def _up(arguments: argparse.Namespace) -> int:
    environment: Environment = arguments.environment
    preparation.data_directory(environment.data_dir)
    lock = preparation.alone(environment.data_dir)
    try:
        preparation.keys(environment)
        preparation.ports(environment)
        logs.configure_alone()
        loading.load_for_children(SHARED)
        link = _migrate()
        Supervisor(PROCESSES, lambda: _say(environment, link, arguments)).run()
    finally:
        os.close(lock)
    return 0


def _migrate() -> str:
    """In a child, so that this process opens no database; the answer is the first administrator's link."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, no child can be waited for
    reader, writer = os.pipe()
    with open(reader, "rb") as told:  # noqa: PTH123  a descriptor
        try:
            child = process.fork("migrate", "--link", "--json", "--for-up")
        except process.Born:
            os.dup2(writer, sys.stdout.fileno())
            raise
        finally:
            os.close(writer)
        answer = told.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise Failed("Nothing was started.")
    return str(json.loads(answer)["link"] or "")


def _say(environment: Environment, link: str, arguments: argparse.Namespace) -> None:
    facts = {"url": environment.base_url, "link": link or None}
    text = f"Vaguemestre runs at {environment.base_url}"
    if link:
        text += f" - create the first administrator at {link}"
    try:
        print(json.dumps(facts) if arguments.json else text, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  nobody reads; the work goes on
