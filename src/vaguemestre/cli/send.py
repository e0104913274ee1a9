"""`vaguemestre send`: hand over a message, composed from options or as it stands in a file."""

from __future__ import annotations

import argparse
import mimetypes
import sys
import time
from datetime import datetime
from pathlib import Path

from django.utils import timezone

from vaguemestre.cli import message as messages_command
from vaguemestre.cli.arguments import json_object, json_option
from vaguemestre.cli.failure import Failed
from vaguemestre.cli.files import octets_of
from vaguemestre.ledger import accept, messages
from vaguemestre.ledger.models import Message
from vaguemestre.mail.address_list import parse_named
from vaguemestre.mail.compose import Attachment, Post, compose
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import RECIPIENT_LIMIT, Envelope
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.state import DeliveryState, OnDoubt

WAITING = {DeliveryState.QUEUED, DeliveryState.CLAIMED, "mixed"}
LOOK_EVERY = 0.1  # seconds


def declare(parser: argparse.ArgumentParser) -> None:
    """`send`."""
    for name in ("to", "cc", "bcc"):
        parser.add_argument(f"--{name}", action="append", default=[], help="an address; repeatable")
    parser.add_argument("--reply-to", action="append", default=[], help="where answers go; repeatable")
    parser.add_argument(
        "--from", dest="from_", metavar="ADDRESS", help="the sender that the message asks for"
    )
    parser.add_argument("--subject", default="", help="the subject")
    parser.add_argument("--text", help="the text; - reads it from standard input")
    parser.add_argument("--html", help="the text as HTML; - reads it from standard input")
    parser.add_argument("--template", default="", help="the key of a template, which writes all of that")
    parser.add_argument("--data", default="{}", metavar="JSON", help="what the template may show")
    parser.add_argument("--language", default="", help="of the template, such as fr; else the recipient's")
    parser.add_argument("--attach", action="append", default=[], metavar="FILE", help="a file; repeatable")
    parser.add_argument(
        "--raw", metavar="FILE|-", help="a whole message (RFC 5322) instead of the options above"
    )
    parser.add_argument("--stream", help="the stream's key")
    parser.add_argument("--connection", help="a connection by name or id")
    parser.add_argument("--on-doubt", default="", choices=[*OnDoubt], help="instead of the stream's")
    parser.add_argument("--tag", action="append", default=[], help="a word to find it by; repeatable")
    parser.add_argument("--send-at", type=_moment, metavar="TIME", help="not before (ISO 8601 with offset)")
    parser.add_argument("--expires-at", type=_moment, metavar="TIME", help="not after (ISO 8601 with offset)")
    parser.add_argument("--wait", action="store_true", help="wait for the outcome; exit 0 once accepted")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="how long to wait")
    json_option(parser)
    parser.set_defaults(run=_send)


def _send(arguments: argparse.Namespace) -> int:
    envelope, content = _raw(arguments) if arguments.raw else compose(_written(arguments))
    submission = accept.Submission(
        envelope=envelope,
        content=content,
        via=accept.Via.CLI,
        stream=arguments.stream,
        connection=arguments.connection,
        on_doubt=arguments.on_doubt,
        tags=tuple(arguments.tag),
        send_at=arguments.send_at,
        expires_at=arguments.expires_at,
    )
    message = accept.accept(submission, timezone.now())
    if not arguments.wait:
        messages_command.summarise(arguments, message)
        return 0
    state = _wait(message, arguments.timeout)
    messages_command.tell(arguments, messages.find(str(message.uid)))
    return 0 if state == DeliveryState.ACCEPTED else 1


def _wait(message: Message, timeout: float) -> str:
    """The state that a message comes to rest in, or the one it has after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        state = messages.state_of(messages.find(str(message.uid)))
        if state not in WAITING or time.monotonic() > deadline:
            return state
        time.sleep(LOOK_EVERY)


def _written(arguments: argparse.Namespace) -> Post:
    post = _post(arguments)
    if not arguments.template:
        return post
    if arguments.subject or post.text is not None or post.html is not None:
        raise Failed("template: it writes subject, text and HTML; leave them out.")
    # Templates take a fifth of a second to load, which other messages should not wait for.
    from vaguemestre.ledger.letters import Letter, write  # noqa: PLC0415

    data = json_object(arguments.data, "data")
    return write(post, Letter(arguments.template, data, arguments.language, arguments.stream or ""))


def _post(arguments: argparse.Namespace) -> Post:
    if arguments.text is None and arguments.html is None and not arguments.template:
        raise Failed("text: give --text, --html, --template or --raw.")
    return Post(
        to=_mailboxes(arguments.to, "to"),
        cc=_mailboxes(arguments.cc, "cc"),
        bcc=_mailboxes(arguments.bcc, "bcc"),
        from_=parse_named(arguments.from_, "from") if arguments.from_ else None,
        reply_to=_mailboxes(arguments.reply_to, "reply_to"),
        subject=arguments.subject,
        text=_read(arguments.text),
        html=_read(arguments.html),
        attachments=tuple(map(_attachment, arguments.attach)),
    )


def _mailboxes(texts: list[str], field: str) -> tuple[NamedMailbox, ...]:
    return tuple(parse_named(text, f"{field}[{position}]") for position, text in enumerate(texts))


def _read(text: str | None) -> str | None:
    return sys.stdin.read() if text == "-" else text


def _attachment(name: str) -> Attachment:
    path = Path(name)
    content = octets_of(path, "attach")
    kind, encoding = mimetypes.guess_type(path.name)
    return Attachment(path.name, content, kind if kind and not encoding else "application/octet-stream")


def _raw(arguments: argparse.Namespace) -> tuple[Envelope, Content]:
    content = Content(_bytes(arguments.raw))
    named = _mailboxes(arguments.to, "to") or _recipients(content)
    sender = parse_named(arguments.from_, "from") if arguments.from_ else accept.header_mailbox(content)
    reverse_path: Mailbox | None = sender.mailbox if sender else None
    return Envelope.to_each(reverse_path, tuple(mailbox.mailbox for mailbox in named)), content


def _bytes(name: str) -> bytes:
    raw = sys.stdin.buffer.read() if name == "-" else octets_of(Path(name), "raw")
    # A text file of this machine ends its lines with LF alone; one that has CR too is taken as it is.
    return raw if b"\r" in raw else raw.replace(b"\n", b"\r\n")


def _recipients(content: Content) -> tuple[NamedMailbox, ...]:
    fields = ("To", "Cc", "Bcc")
    return tuple(mailbox for name in fields for mailbox in content.mailboxes(name, RECIPIENT_LIMIT))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time with its offset, such as 2027-01-31T08:00:00+01:00"
        )
    return moment
