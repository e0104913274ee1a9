"""`vaguemestre sending`: whether this installation sends anything at all."""

from __future__ import annotations

import argparse

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.output import show
from vaguemestre.ledger import sending
from vaguemestre.ledger.resources import sending_resource
from vaguemestre.policy.installation import Pause


def declare(parser: argparse.ArgumentParser) -> None:
    """`sending show|pause|resume`."""
    among = actions(parser)
    action(among, "show", "say whether mail is sent, and if not, why", _show)
    action(among, "pause", "accept everything and send nothing", _pause)
    resume = action(among, "resume", "send again", _resume)
    waiting = resume.add_mutually_exclusive_group()
    waiting.add_argument(
        "--cancel-waiting",
        action="store_true",
        help="cancel what already waited when the pause began, instead of sending it",
    )
    waiting.add_argument(
        "--send-waiting",
        action="store_true",
        help="send it, though this may be a copy of an installation that did",
    )


def _show(arguments: argparse.Namespace) -> None:
    _tell(arguments, sending.paused())


def _pause(arguments: argparse.Namespace) -> None:
    _tell(arguments, sending.pause_by_hand(actor(), timezone.now()))


def _resume(arguments: argparse.Namespace) -> None:
    pause = sending.paused()
    if pause is not None and pause.copy and not arguments.cancel_waiting and not arguments.send_waiting:
        # A script that pauses for a backup, and resumes, may find itself restored.
        raise Failed(
            "This may be a copy. Say what is to become of what waits: --send-waiting or --cancel-waiting."
        )
    resumed = sending.resume(actor(), timezone.now(), cancel_waiting=arguments.cancel_waiting)
    text = "Sending goes on."
    if arguments.cancel_waiting:
        text += f" Deliveries cancelled before: {resumed.cancelled}."
    show(arguments, sending_resource(None) | {"cancelled": resumed.cancelled}, text)


def _tell(arguments: argparse.Namespace, pause: Pause | None) -> None:
    told = sending_resource(pause)
    if pause is None:
        show(arguments, told, "Mail is sent.")
        return
    at, why = pause.at.isoformat(timespec="seconds"), told["why"]
    since = f"Since {at}, by {pause.by}. Deliveries waiting since before: {told['waiting']}."
    show(arguments, told, f"{why['text']}\n{since}\n{why['remedy']}")
