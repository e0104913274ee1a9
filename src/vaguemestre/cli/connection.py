"""`vaguemestre connection`: the accounts that mail is sent through."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from vaguemestre.cli import connection_values, deliverability, imports, preview, verification
from vaguemestre.cli import message as messages_command
from vaguemestre.cli.arguments import Actions, action, actions, actor
from vaguemestre.cli.output import listing, show, table
from vaguemestre.ledger import connections, departing, instance, messages, trial_message, undoing
from vaguemestre.ledger.connections import LeaveNone, NoChoice, Promote, Saved, Successor
from vaguemestre.ledger.departing import Reassign
from vaguemestre.ledger.instance import RulingKind
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.own_address import own_address
from vaguemestre.ledger.resources import connection_resource, lane_resource
from vaguemestre.ledger.submission import Via
from vaguemestre.verification.wording import with_words

COLUMNS = ("name", "sender_email", "server", "encryption", "active", "is_default", "health", "verified")


def declare(parser: argparse.ArgumentParser) -> None:
    """`connection list|show|add|edit|verify|…`."""
    among = actions(parser)
    action(among, "list", "list all", _list)
    _one(action(among, "show", "show one", _show))
    add = action(among, "add", "create one; active, and not the default unless told so", _add)
    add.add_argument("name", help="an internal name; recipients never see it")
    connection_values.declare(add)
    pasted = action(among, "import", "create what another program's configuration describes", imports.run)
    imports.declare(pasted)
    edit = action(among, "edit", "change one", _edit)
    _one(edit)
    edit.add_argument("--name", dest="new_name", help="a new name")
    connection_values.declare(edit)
    _successor(edit)
    verify = action(
        among, "verify", "try the saved settings, or what is typed instead, without saving", _verify
    )
    verify.add_argument("connection", nargs="?", help="its name or id; none for settings that are not saved")
    verify.add_argument("--recipient", help="also ask for this address, yours or a sender's; nothing is sent")
    connection_values.declare(verify)
    summary = "tell whether what it sends arrives: MX, SPF, DKIM and DMARC of its sender's domain"
    _one(action(among, "deliverability", summary, deliverability.run))
    test = action(among, "test", "send a test message, to an address of yours or a sender's", _test)
    _one(test)
    test.add_argument("--to", required=True, help="where to")
    _declare_switches(among)


def _declare_switches(among: Actions) -> None:
    for name, summary, run in (
        ("activate", "let it carry mail", _change(connections.activate, "is active")),
        ("pause", "stop its deliveries; they wait", _change(connections.pause, "is paused")),
        ("resume", "let its deliveries go on", _change(connections.resume, "works again")),
    ):
        _one(action(among, name, summary, run))
    action(among, "undo-default", "undo the last change of the default, within 24 hours", _undo_default)
    for name, summary, run in (
        ("default", "make it the default sender", _default),
        ("deactivate", "keep it from carrying mail", _deactivate),
        ("delete", "delete it and its password", _delete),
    ):
        parser = action(among, name, summary, run)
        _one(parser)
        preview.declare(parser)
        if run is not _default:
            _successor(parser)
        if run is _delete:
            words = "what its streams use then, if some name it"
            parser.add_argument("--reassign", metavar="NAME|none", help=words)


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("connection", help="its name or id")


def _successor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--successor", metavar="NAME|none", help="who follows it as the default sender")


def _chosen(arguments: argparse.Namespace) -> Successor:
    if arguments.successor is None:
        return NoChoice()
    if arguments.successor == "none":
        return LeaveNone()
    return Promote(str(connections.find(arguments.successor).uid))


def _list(arguments: argparse.Namespace) -> None:
    found = [with_words(connection_resource(connection)) for connection in connections.all_connections()]
    rows = [
        row
        | {
            "server": f"{row['host']}:{row['port']}",
            "health": row["health"]["state"],
            "verified": f"{row['verification']['state']}",
        }
        for row in found
    ]
    show(arguments, found, table(rows, COLUMNS))


def _show(arguments: argparse.Namespace) -> None:
    connection = connections.find(arguments.connection)
    found = with_words(connection_resource(connection))
    lane = lane_resource(connection, timezone.now())
    # What the findings mean is told by `verify`, at length.
    verification = {name: found["verification"][name] for name in ("state", "at")}
    told = listing(found | {"verification": verification})
    show(arguments, found | {"lane": lane}, f"{told}\n\n{_lane(lane)}")


def _lane(lane: dict[str, Any]) -> str:
    """What it is doing, and its figures; what is not known is not there."""
    counts = {
        name: f"more than {lane[name]}" if name in lane["more"] else lane[name]
        for name in ("due", "waiting", "claimed", "in_doubt", "held")
    }
    named = ("oldest_due_at", "next_attempt_at", "sessions", "in_flight", "window", "manner", "manner_why")
    further = {name: lane[name] for name in named if lane[name] is not None}
    return listing({"doing": lane["text"]} | counts | further)


def _add(arguments: argparse.Namespace) -> None:
    values = {"name": arguments.name} | connection_values.typed(arguments, new=True)
    _say(arguments, connections.create(values, actor(), timezone.now()), "is saved")


def _edit(arguments: argparse.Namespace) -> None:
    found = connections.find(arguments.connection)
    values = connection_values.typed(arguments, new=False)
    if arguments.new_name is not None:
        values["name"] = arguments.new_name
    saved = connections.edit(str(found.uid), values, actor(), timezone.now(), _chosen(arguments))
    _say(arguments, saved, "is saved")


def _change(change: Callable[..., Saved], done: str) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        found = connections.find(arguments.connection)
        _say(arguments, change(str(found.uid), actor(), timezone.now()), done)

    return run


def _default(arguments: argparse.Namespace) -> None:
    found = connections.find(arguments.connection)
    if arguments.preview:
        preview.default(arguments, found)
    else:
        saved = connections.make_default(str(found.uid), actor(), timezone.now())
        _say(arguments, saved, "is the default sender")


def _undo_default(arguments: argparse.Namespace) -> None:
    saved = undoing.undo(actor(), timezone.now())
    is_default = saved.connection.is_default
    _say(arguments, saved, "is the default sender again" if is_default else "is not the default any more")


def _preview_of_departure(arguments: argparse.Namespace, found: Connection, *, deleted: bool) -> None:
    chosen = _chosen(arguments)
    heir = connections.find(chosen.uid) if isinstance(chosen, Promote) else None
    preview.departure(arguments, found, heir, deleted=deleted)


def _deactivate(arguments: argparse.Namespace) -> None:
    found = connections.find(arguments.connection)
    if arguments.preview:
        _preview_of_departure(arguments, found, deleted=False)
        return
    saved = connections.deactivate(str(found.uid), actor(), timezone.now(), _chosen(arguments))
    _say(arguments, saved, "is inactive", _held(found))


def _delete(arguments: argparse.Namespace) -> None:
    found = connections.find(arguments.connection)
    if arguments.preview:
        _preview_of_departure(arguments, found, deleted=True)
        return
    departing.delete(str(found.uid), actor(), timezone.now(), _chosen(arguments), _reassigned(arguments))
    held = _held(found)
    sentences = [f"{found.name} is deleted."]
    if held:
        sentences.append(f"Messages that ask for it and are held: {held}. Only `message cancel` ends them.")
    show(arguments, {"deleted": str(found.uid), "held": held}, "\n".join(sentences))


def _reassigned(arguments: argparse.Namespace) -> Reassign | None:
    if arguments.reassign is None:
        return None
    return Reassign(None if arguments.reassign == "none" else arguments.reassign)


def _held(connection: Connection) -> int:
    """How many messages its absence holds: none while a default carries everything."""
    covered = instance.ruling().kind is RulingKind.DEFAULT
    return 0 if covered else messages.waiting_on(connection)


def _verify(arguments: argparse.Namespace) -> int:
    uid = str(connections.find(arguments.connection).uid) if arguments.connection else None
    values = connection_values.typed(arguments, new=uid is None)
    recipient = own_address(arguments.recipient, "recipient") if arguments.recipient else None
    return verification.run(connections.draft(values, uid), arguments, recipient)


def _test(arguments: argparse.Namespace) -> None:
    connection, to = connections.find(arguments.connection), own_address(arguments.to, "to")
    messages_command.summarise(arguments, trial_message.send(connection, to, Via.CLI, timezone.now()))


def _say(arguments: argparse.Namespace, saved: Saved, done: str, held: int | None = None) -> None:
    connection = saved.connection
    sentences = [f"{connection.name} {done}."]
    sentences += [f"{other.name} is not the default any more; it stays active." for other in saved.demoted]
    if held:
        sentences.append(f"Messages that ask for it are held until it is active again: {held}.")
    if saved.unverified and connection.active:
        sentences.append(
            f"Its settings are not verified: run `vaguemestre connection verify {connection.name}`."
        )
    value = with_words(connection_resource(connection)) | {
        "demoted": [str(other.uid) for other in saved.demoted]
    }
    if held is not None:
        value["held"] = held
    show(arguments, value, "\n".join(sentences))
