"""`vaguemestre courier`: sends what is queued."""

from __future__ import annotations

import argparse

from django.conf import settings

from vaguemestre.cli import database, preparation, process
from vaguemestre.cli.failure import Failed
from vaguemestre.courier import main as courier
from vaguemestre.courier.guard import Foreign


def declare(parser: argparse.ArgumentParser) -> None:
    """`courier` takes nothing: the ledger says what to do."""
    parser.set_defaults(run=_courier)


def _courier(arguments: argparse.Namespace) -> int:
    if process.is_alone():
        # It keeps what the database could not take.
        preparation.data_directory(arguments.environment.data_dir)
        database.stand_alone(arguments.environment)
    process.tell_ready(process.ready_descriptor())
    try:
        courier.run(settings.ENVIRONMENT)
    except Foreign as foreign:
        raise Failed(str(foreign)) from None
    return 0
