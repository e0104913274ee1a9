"""`vaguemestre report`: send a file that a program made, as it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from django.utils import timezone

from vaguemestre.cli import message as messages_command
from vaguemestre.cli.arguments import action, actions, json_object
from vaguemestre.cli.files import octets_of
from vaguemestre.ledger import accept, reports
from vaguemestre.ledger.reports import Report
from vaguemestre.mail.address_list import parse_named
from vaguemestre.mail.state import OnDoubt


def declare(parser: argparse.ArgumentParser) -> None:
    """`report send`."""
    send = action(actions(parser), "send", "send a file, attached as it is", _send)
    send.add_argument("--file", required=True, help="the report")
    send.add_argument("--to", action="append", required=True, help="an address; repeatable")
    send.add_argument("--subject", default="", help="the subject; else the file's name")
    send.add_argument("--text", default="", help="some words about it; - reads them from standard input")
    send.add_argument("--data", default="{}", metavar="JSON", help="what else the template may show")
    send.add_argument("--template", default="report", help="its key; report")
    send.add_argument("--language", default="", help="such as fr; else the installation's")
    send.add_argument("--stream", default="reports", help="the stream's key; reports")
    send.add_argument("--connection", default="", help="a connection by name or id")
    send.add_argument("--on-doubt", default="", choices=[*OnDoubt], help="instead of the stream's")


def _send(arguments: argparse.Namespace) -> None:
    path = Path(arguments.file)
    report = Report(
        to=tuple(parse_named(text, f"to[{position}]") for position, text in enumerate(arguments.to)),
        file=octets_of(path, "file"),
        filename=path.name,
        subject=arguments.subject,
        text=sys.stdin.read() if arguments.text == "-" else arguments.text,
        data=json_object(arguments.data, "data"),
        template=arguments.template,
        language=arguments.language,
        stream=arguments.stream,
        connection=arguments.connection,
        on_doubt=arguments.on_doubt,
    )
    submission = reports.submission_of(report, None, accept.Via.CLI)
    messages_command.summarise(arguments, accept.accept(submission, timezone.now()))
