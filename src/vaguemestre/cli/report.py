"""`vaguemestre report`: send a file that a program made, as it is; and when the weekly report goes out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from django.utils import timezone

from vaguemestre.cli import message as messages_command
from vaguemestre.cli.arguments import action, actions, actor, json_object
from vaguemestre.cli.files import octets_of
from vaguemestre.cli.output import listing, show
from vaguemestre.ledger import accept, report_schedule, reports
from vaguemestre.ledger.models import ReportSchedule
from vaguemestre.ledger.reports import Report
from vaguemestre.mail.address_list import parse_named
from vaguemestre.mail.state import OnDoubt

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def declare(parser: argparse.ArgumentParser) -> None:
    """`report send|schedule show|schedule set`."""
    among = actions(parser)
    _send_options(action(among, "send", "send a file, attached as it is", _send))
    schedule = among.add_parser("schedule", help="when the weekly report goes out")
    parts = actions(schedule)
    action(parts, "show", "tell when, and to whom", _show)
    _schedule_options(action(parts, "set", "change what is given", _set))


def _send_options(send: argparse.ArgumentParser) -> None:
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


def _schedule_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--active", action=argparse.BooleanOptionalAction, help="whether it is sent")
    parser.add_argument("--to", action="append", dest="recipients", help="an address; repeatable")
    parser.add_argument("--weekday", help=f"{', '.join(WEEKDAYS)}, or 0 to 6")
    parser.add_argument("--hour", help="0 to 23")
    parser.add_argument("--zone", help="such as Europe/Paris")
    parser.add_argument("--language", help="such as fr; empty for the installation's")


def _show(arguments: argparse.Namespace) -> None:
    _told(arguments, report_schedule.find())


def _set(arguments: argparse.Namespace) -> None:
    given = {name: getattr(arguments, name) for name in report_schedule.FIELDS}
    values = {name: value for name, value in given.items() if value is not None}
    if arguments.weekday in WEEKDAYS:
        values["weekday"] = WEEKDAYS.index(arguments.weekday)
    _told(arguments, report_schedule.edit(values, actor(), timezone.now()))


def _told(arguments: argparse.Namespace, row: ReportSchedule) -> None:
    told = report_schedule.resource(row, timezone.now())
    named = {"recipients": ", ".join(row.recipients), "weekday": WEEKDAYS[row.weekday]}
    show(arguments, told, listing(told | named))


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
