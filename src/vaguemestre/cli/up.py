"""`vaguemestre up`: everything on this machine.

Looks that data directory, keys and ports are right, migrates, prints one line with the address, and keeps
`web`, `submission` and `courier` running until it is told to stop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from vaguemestre.cli import logs, preparation
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.supervisor import Supervisor, command
from vaguemestre.environment import Environment

PROCESSES = ("web", "submission", "courier")


def declare(parser: argparse.ArgumentParser) -> None:
    """`up` takes nothing but --json, for its one line."""
    parser.add_argument("--json", action="store_true", help="print the one line as JSON")
    parser.set_defaults(run=_up)


def _up(arguments: argparse.Namespace) -> int:
    environment: Environment = arguments.environment
    preparation.data_directory(environment.data_dir)
    lock = preparation.alone(environment.data_dir)
    preparation.keys(environment)
    preparation.ports(environment)
    link = _migrate()
    logs.configure()
    try:
        Supervisor(PROCESSES, os.environ, lambda: _say(environment, link, arguments)).run()
    finally:
        os.close(lock)
    return 0


def _migrate() -> str:
    """In a process of its own, so that this one stays small; the answer is the first administrator's link."""
    done = subprocess.run(  # noqa: S603  our own program
        [*command("migrate"), "--link", "--json"], stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise Failed("Nothing was started.")
    return str(json.loads(done.stdout)["link"] or "")


def _say(environment: Environment, link: str, arguments: argparse.Namespace) -> None:
    facts = {"url": environment.base_url, "link": link or None}
    text = f"Vaguemestre runs at {environment.base_url}"
    if link:
        text += f" - create the first administrator at {link}"
    try:
        print(json.dumps(facts) if arguments.json else text, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  nobody reads; the work goes on
