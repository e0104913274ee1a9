"""`vaguemestre invoice`: send a PDF under its number, at most once, and ask what became of a number."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, json_object
from vaguemestre.cli.files import octets_of
from vaguemestre.cli.output import listing, show, table
from vaguemestre.ledger import invoices, wording
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.invoices import Order
from vaguemestre.mail.address_list import parse_named
from vaguemestre.mail.state import OnDoubt

COLUMNS = ("number", "recipient", "amount", "currency", "taken_at", "state", "at", "server")


def declare(parser: argparse.ArgumentParser) -> None:
    """`invoice send|show|list`."""
    among = actions(parser)
    _send_options(action(among, "send", "send a PDF under its number, at most once", _send))
    action(among, "show", "tell what became of a number", _show).add_argument("number")
    found = action(among, "list", "list the latest", _list)
    found.add_argument(
        "--search", default="", help="a number or recipient; of the latest 10,000 also a part of one"
    )


def _send_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pdf", required=True, metavar="FILE", help="the invoice, attached as it is")
    parser.add_argument("--number", required=True, help="its number")
    parser.add_argument("--to", required=True, help="the one recipient")
    parser.add_argument("--amount", default="", help="such as 1234.50")
    parser.add_argument("--currency", default="EUR", help="of the amount; EUR")
    parser.add_argument("--due", default="", metavar="DAY", help="such as 2026-12-31")
    parser.add_argument("--data", default="{}", metavar="JSON", help="what else the template may show")
    parser.add_argument("--template", default="invoice", help="its key; invoice")
    parser.add_argument("--language", default="", help="such as fr; else the installation's")
    parser.add_argument("--stream", default="invoices", help="the stream's key; invoices")
    parser.add_argument("--connection", default="", help="a connection by name or id")
    parser.add_argument("--on-doubt", default="", choices=[*OnDoubt], help="hold, unless this says otherwise")
    parser.add_argument(
        "--again", default="", metavar="MESSAGE", help="the message that took it before, to repeat it"
    )


def _send(arguments: argparse.Namespace) -> None:
    path = Path(arguments.pdf)
    order = Order(
        number=arguments.number,
        to=parse_named(arguments.to, "to"),
        pdf=octets_of(path, "pdf"),
        filename=path.name,
        amount=invoices.amount(arguments.amount),
        currency=arguments.currency,
        due=invoices.day(arguments.due),
        data=json_object(arguments.data, "data"),
        template=arguments.template,
        language=arguments.language,
        stream=arguments.stream,
        connection=arguments.connection,
        on_doubt=arguments.on_doubt,
        again=arguments.again,
    )
    told = invoices.resource(invoices.send(order, None, Via.CLI, timezone.now()))
    show(arguments, told, listing(_in_words(told)))


def _show(arguments: argparse.Namespace) -> None:
    told = [invoices.resource(one) for one in invoices.find(arguments.number)]
    show(arguments, told, "\n\n".join(listing(_in_words(one)) for one in told))


def _list(arguments: argparse.Namespace) -> None:
    told = [invoices.resource(one) for one in invoices.latest(arguments.search)]
    show(arguments, told, table([_in_words(one) for one in told], COLUMNS))


def _in_words(told: dict[str, Any]) -> dict[str, Any]:
    """For people: the state as everywhere else, and the server's reply as it said it."""
    reply = told["reply"]
    said = None if reply is None else f"{reply['code']} {reply['text']}"
    return told | {"state": wording.state_text(told["state"]), "reply": said}
