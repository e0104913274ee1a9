"""`vaguemestre sending`: whether this installation sends anything at all."""

from __future__ import annotations

import argparse
from typing import Any

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.output import show
from vaguemestre.ledger import sending, sending_wording
from vaguemestre.ledger.sending import Pause


def declare(parser: argparse.ArgumentParser) -> None:
    """`sending show|pause|resume`."""
    among = actions(parser)
    action(among, "show", "say whether mail is sent, and if not, why", _show)
    action(among, "pause", "accept everything and send nothing", _pause)
    resume = action(among, "resume", "send again", _resume)
    resume.add_argument(
        "--cancel-waiting",
        action="store_true",
        help="cancel what already waited when the pause began, instead of sending it",
    )


def _show(arguments: argparse.Namespace) -> None:
    _tell(arguments, sending.paused())


def _pause(arguments: argparse.Namespace) -> None:
    begun = sending.pause(actor(), timezone.now())
    if begun is None:
        raise Failed("Sending is paused already: `vaguemestre sending show` says why.")
    _tell(arguments, begun)


def _resume(arguments: argparse.Namespace) -> None:
    resumed = sending.resume(actor(), timezone.now(), cancel_waiting=arguments.cancel_waiting)
    text = "Sending goes on."
    if arguments.cancel_waiting:
        text += f" {resumed.cancelled} deliveries that waited are cancelled."
    show(arguments, {"state": "running", "cancelled": resumed.cancelled}, text)


def _tell(arguments: argparse.Namespace, pause: Pause | None) -> None:
    if pause is None:
        show(arguments, {"state": "running"}, "Mail is sent.")
        return
    waiting = sending.waiting(pause)
    what, remedy = sending_wording.what(pause.why, pause.facts), sending_wording.remedy(pause.why)
    at = pause.at.isoformat(timespec="seconds")
    since = f"Since {at}, by {pause.by}; {waiting} deliveries were waiting then, and still are."
    show(arguments, _facts(pause, waiting, what, remedy), f"{what}\n{since}\n{remedy}")


def _facts(pause: Pause, waiting: int, what: str, remedy: str) -> dict[str, Any]:
    return {
        "state": "paused",
        "why": {"code": pause.why.value, "text": what, "remedy": remedy},
        "since": pause.at,
        "by": pause.by,
        "waiting": waiting,
    }
