"""`vaguemestre submission`: the SMTP listener for submitters."""

from __future__ import annotations

import argparse
from functools import partial

from django.conf import settings

from vaguemestre.cli import database, process
from vaguemestre.doors.submission import listener


def declare(parser: argparse.ArgumentParser) -> None:
    """`submission` takes nothing: the environment says where it listens."""
    parser.set_defaults(run=_submission)


def _submission(arguments: argparse.Namespace) -> int:
    if process.is_alone():
        database.stand_alone(arguments.environment)
    listener.run(settings.ENVIRONMENT, partial(process.tell_ready, process.ready_descriptor()))
    return 0
