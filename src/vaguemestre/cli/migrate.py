"""`vaguemestre migrate`: the database as this version wants it, and keys where there is no data yet."""

from __future__ import annotations

import argparse
import importlib
import logging
import os

from vaguemestre.cli import preparation
from vaguemestre.cli.arguments import json_option
from vaguemestre.cli.loading import load_django
from vaguemestre.cli.output import show
from vaguemestre.environment import Environment, read_environment


def declare(parser: argparse.ArgumentParser) -> None:
    """`migrate`."""
    parser.add_argument(
        "--link",
        action="store_true",
        help="print a new one-time link for the first administrator, while there is none",
    )
    json_option(parser)
    parser.add_argument("--for-up", action="store_true", help=argparse.SUPPRESS)  # `up` has taken the data
    parser.set_defaults(run=_migrate)


def _migrate(arguments: argparse.Namespace) -> int:
    environment: Environment = arguments.environment
    preparation.data_directory(environment.data_dir)
    if preparation.keys(environment):
        environment = read_environment(os.environ)
    load_django(environment, logging.WARNING)
    database = importlib.import_module("vaguemestre.cli.database")
    if database.unapplied() and not arguments.for_up:
        # Until this process ends: what runs was made for the tables as they are.
        preparation.alone(environment.data_dir)
    applied = database.prepare(environment)
    link = database.first_link(environment) if arguments.link else None
    text = f"Applied {applied} migrations." if applied else "The database is up to date."
    show(arguments, {"applied": applied, "link": link}, f"{text}\n{link}" if link else text)
    return 0
