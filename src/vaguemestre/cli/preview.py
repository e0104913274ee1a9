"""`--preview`: what a change of the default, deactivating or deleting would do; nothing is changed."""

from __future__ import annotations

import argparse
from typing import Any

from django.conf import settings
from django.utils import timezone

from vaguemestre.cli.output import show
from vaguemestre.deliverability.examination import Busy, examine
from vaguemestre.deliverability.wording import as_json
from vaguemestre.ledger import foresight, instance
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.previews import default_preview_resource, departure_resource


def declare(parser: argparse.ArgumentParser) -> None:
    """`--preview`, in the same words everywhere."""
    parser.add_argument("--preview", action="store_true", help="only tell what would change")


def default(arguments: argparse.Namespace, connection: Connection) -> None:
    """Before it is the default."""
    preview = foresight.of_default(foresight.facts_of(connection), timezone.now())
    value = default_preview_resource(preview) | {"deliverability": _deliverability(connection)}
    show(arguments, value, _default_text(value, f"connection default {connection.name}"))


def mode(arguments: argparse.Namespace, wanted: object) -> None:
    """Before the default means something else."""
    preview = foresight.of_mode(instance.mode_of(wanted), timezone.now())
    value = default_preview_resource(preview) | {"deliverability": None}
    show(arguments, value, _default_text(value, f"setting set default_mode {wanted}"))


def departure(
    arguments: argparse.Namespace, connection: Connection, heir: Connection | None, *, deleted: bool
) -> None:
    """Before it goes."""
    value = departure_resource(foresight.of_departure(connection, heir, deleted=deleted))
    show(arguments, value, _departure_text(value))


def _deliverability(connection: Connection) -> dict[str, Any] | None:
    try:
        return as_json(examine(connection, timezone.now().date(), resolvers=settings.ENVIRONMENT.resolvers))
    except Busy:
        return None


def _default_text(value: dict[str, Any], command: str) -> str:
    done = f"Nothing is changed. `{command}` does it."
    if value["from"] is None:
        return f"There is no default sender: no message leaves otherwise. {done}"
    more = "the latest " if value["more"] else ""
    lines = [
        (
            f"{value['changed']} of {more}{value['messages']} messages of the last {value['days']} days"
            f" would have left otherwise: From {value['from']}, Reply-To {value['reply_to'] or 'none'}."
        ),
        *(
            f"  {one['stream'] or '(no stream)'}: {one['changed']} of {one['messages']}"
            f" (From {one['from_changed']}, Reply-To {one['reply_to_changed']})"
            for one in value["streams"]
        ),
    ]
    lines += [f"The form {name} has a connection or reply address of its own." for name in value["forms"]]
    if value["demoted"]:
        lines.append(f"{value['demoted']['name']} would not be the default any more; it stays active.")
    if value["waiting"]:
        lines.append(f"Deliveries that wait, and would be routed anew: {value['waiting']}.")
    points = value["deliverability"]["points"] if value["deliverability"] else []
    lines += [f"{point['severity']}: {point['what']}" for point in points if point["severity"] != "info"]
    return "\n".join([*lines, done])


def _departure_text(value: dict[str, Any]) -> str:
    lines = [f"Deliveries that wait for it: {value['waiting']}{' and more' if value['more'] else ''}."]
    lines += [f"  {fate['deliveries']}: {_goes(fate)} ({fate['reason']['text']})" for fate in value["fates"]]
    lines += [f"{one['kind']} {one['key']}: {_goes(one)}" for one in value["referrers"]]
    if value["in_doubt"]:
        lines.append(f"In doubt, to be decided by a person: {value['in_doubt']}.")
    return "\n".join([*lines, "Nothing is changed."])


def _goes(fate: dict[str, Any]) -> str:
    name = fate["connection_name"]
    return f"then leave through {name}" if name else "are then held"
