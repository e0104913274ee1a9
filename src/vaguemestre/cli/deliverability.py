"""Deliverability on a terminal: what the domain publishes, what it means and what to do."""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.utils import timezone

from vaguemestre.cli.output import show
from vaguemestre.deliverability.examination import examine
from vaguemestre.deliverability.wording import as_json
from vaguemestre.ledger import connections


def run(arguments: argparse.Namespace) -> int:
    """`connection deliverability`; 1 where mail will be refused or put aside."""
    connection = connections.find(arguments.connection)
    resolvers = settings.ENVIRONMENT.resolvers
    found = as_json(examine(connection, timezone.now().date(), resolvers=resolvers))
    show(arguments, found, "\n\n".join(map(_told, found["points"])))
    return int(any(point["severity"] == "error" for point in found["points"]))


def _told(point: dict[str, Any]) -> str:
    record = point["record"]
    lines = [
        f"{point['severity']}: {point['what']}",
        point["why"],
        point["remedy"],
        "" if record is None else f"{record['name']} {record['type']} {record['value']}",
    ]
    return "\n  ".join(filter(None, lines))
