"""What can be said of a submission without the database: its faults, and what is kept of it.

`draft` is the part of an acceptance that needs no lock: parsing, digests, texts made safe. It refuses what
cannot be, each fault at its field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings

from vaguemestre.ledger.database import storable
from vaguemestre.ledger.identity import new_name
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.submission import Submission
from vaguemestre.mail.address_list import parse_single
from vaguemestre.mail.content import LINE_LIMIT, Content
from vaguemestre.mail.envelope import RECIPIENT_LIMIT
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.header import raw_value, readable
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.reply import printable
from vaguemestre.mail.state import OnDoubt
from vaguemestre.mail.value import value
from vaguemestre.policy.routing import ConnectionFacts, is_allowed

FARTHEST = timedelta(days=366)  # of send_at
TAGS = 20
_FROM, _SENDER = "from", "sender"
_RESENT = ("resent-from", "resent-sender")


@value
class Draft:
    """A submission without faults, and what the ledger will keep of its content.

    Attributes:
        header_from: {"email", "name"} as JSON; None where there is no From.
        reply_to: the header's text, made safe; "" for none.
        message_id: as it was given; "" for none.
    """

    submission: Submission
    uid: str
    header_from: str | None
    reply_to: str
    subject: str
    message_id: str


def draft(submission: Submission, now: datetime, uid: str = "", limit: int | None = None) -> Draft:
    """What is kept of a submission, under a fresh id if none is given.

    Args:
        submission: what was handed over.
        now: the time.
        uid: its public id.
        limit: bytes of a content at most, where the caller asked for that once for many.

    Raises:
        Refusal: the faults, each at its field.
    """
    content = submission.content
    # Of each name; `dict()` would take twice the time for pairs.
    first = {name: field for name, field in reversed(content.fields)}  # noqa: C416
    from_, header_from = _sender(content, first)
    _refuse(submission, from_, now, message_limit() if limit is None else limit)
    reply_to, subject = first.get(b"reply-to"), first.get(b"subject")
    message_id = first.get(b"message-id")
    return Draft(
        submission,
        uid or new_name(),
        header_from,
        "" if reply_to is None else printable(readable(raw_value(reply_to))),
        "" if subject is None else printable(readable(raw_value(subject)), 500),
        "" if message_id is None else printable(raw_value(message_id), LINE_LIMIT).strip(),
    )


def message_limit() -> int:
    """The bytes of a content at most."""
    return settings.ENVIRONMENT.max_message_bytes


def header_mailbox(content: Content) -> NamedMailbox | None:
    """The mailbox in From; None where there is no such field.

    Raises:
        Refusal: the field is there twice, or does not hold exactly one address: what a key may send as and
            what a connection permits is asked of one (RFC 7489 §6.6.1 sees several as abuse).
    """
    return _sender(content, dict(content.fields))[0]


def refuse_sender_of(asked: ConnectionFacts | None, one: Draft) -> None:
    """Refuse a key that is limited to senders a connection as whose sender its message would leave.

    A stream's connection is the operator's choice, and a key's streams are a limit of their own.

    Raises:
        Refusal: at `connection`; where the From stays, or the connection's sender is one of the key's, none.
    """
    key = one.submission.limited_by
    if asked is None or key is None or not key.senders or is_allowed(asked.sender, key.senders):
        return
    from_ = None if one.header_from is None else Mailbox.parse(json.loads(one.header_from)["email"])
    if from_ is None or not asked.permits(from_):
        message = f"This key may not send as {asked.sender}, the sender of that connection."
        facts = {"address": asked.sender.address}
        raise Refusal(Invalid("connection", "sender_not_allowed", message, facts))


def _sender(content: Content, one: Mapping[bytes, bytes]) -> tuple[NamedMailbox | None, str | None]:
    """The same, and as the ledger keeps it; `one` holds one field of each name."""
    field = one.get(b"from")
    if field is None:
        return None, None
    try:
        _once(content, one, _FROM)
        return _short(field) if len(field) <= LINE_LIMIT else _parsed(field)
    except Invalid as fault:
        raise Refusal(fault) from None


def _once(content: Content, one: Mapping[bytes, bytes], name: str) -> None:
    if len(one) < len(content.fields) and [given for given, _ in content.fields].count(name.encode()) > 1:
        raise Invalid(name, "header_twice", f"The header {name.title()} is there twice.")


def _parsed(field: bytes) -> tuple[NamedMailbox, str]:
    found = parse_single(raw_value(field), _FROM, "The header From")
    return found, json.dumps({"email": found.mailbox.wire, "name": found.name})


_short = lru_cache(maxsize=1_024)(_parsed)  # few senders are in use at once


def _refuse(submission: Submission, from_: NamedMailbox | None, now: datetime, limit: int) -> None:
    size, content = submission.size, submission.content
    faults = [] if size <= limit else [_too_large(size, limit)]
    key = submission.limited_by
    if key is not None and (key.streams or key.senders):
        faults = _stream_faults(key, submission.stream) + faults + _sender_faults(key, from_, content)
    if submission.send_at is not None or submission.expires_at is not None:
        faults += _time_faults(submission, now)
    if submission.tags:
        faults += _tag_faults(submission.tags)
    if submission.metadata:
        faults += _metadata_faults(submission.metadata)
    if submission.on_doubt and submission.on_doubt not in {*OnDoubt}:
        faults.append(Invalid("on_doubt", "on_doubt_unknown", "Choose retry or hold."))
    if faults:
        raise Refusal(*faults)


def _stream_faults(key: ApiKey, stream: str | None) -> list[Invalid]:
    if not key.streams or stream in key.streams:
        return []
    message = f"This key may only use the streams {', '.join(key.streams)}."
    return [Invalid("stream", "stream_not_allowed", message)]


def _tag_faults(tags: tuple[str, ...]) -> list[Invalid]:
    if len(tags) <= TAGS and all(0 < len(tag) <= 100 and storable(tag) for tag in tags):
        return []
    return [Invalid("tags", "tags", f"At most {TAGS} tags, each of 1 to 100 characters.")]


def _metadata_faults(metadata: Mapping[str, str]) -> list[Invalid]:
    fits = len(metadata) <= 50 and len(str(metadata)) <= 10_000
    if fits and all(storable(text) for entry in metadata.items() for text in entry):
        return []
    return [
        Invalid(
            "metadata",
            "metadata",
            "At most 50 entries and 10,000 characters in all, none of them NUL or half of one.",
        )
    ]


def _too_large(size: int, limit: int) -> Invalid:
    message = f"The message has {size} bytes; at most {limit} are taken."
    return Invalid("content", "message_size", message, {"size": size, "limit": limit})


def _sender_faults(key: ApiKey, from_: NamedMailbox | None, content: Content) -> list[Invalid]:
    if not key.senders:
        return []
    if from_ is None:
        # It would leave as whatever connection carries it: a way around the key's limit.
        message = f"This key only sends as {', '.join(key.senders)}: name one of them as From."
        return [Invalid(_FROM, "sender_not_named", message)]
    return [*_not_allowed(key, from_, _FROM), *_agent_faults(key, content)]


def _agent_faults(key: ApiKey, content: Content) -> list[Invalid]:
    """Of Sender (RFC 5322 §3.6.2), which programs show beside From, or in its place; and of who resent it,
    which they show too (§3.6.6).
    """
    one = dict(content.fields)
    field = one.get(b"sender")
    try:
        faults = [fault for name in _RESENT if name.encode() in one for fault in _resent(key, content, name)]
        if field is None:
            return faults
        _once(content, one, _SENDER)
        named = parse_single(raw_value(field), _SENDER, "The header Sender")
        return [*_not_allowed(key, named, _SENDER), *faults]
    except Invalid as fault:
        return [fault]


def _resent(key: ApiKey, content: Content, name: str) -> list[Invalid]:
    """A field may be there for each time it was resent, and Resent-From be a list."""
    named = content.mailboxes(name, RECIPIENT_LIMIT)
    return [fault for mailbox in named for fault in _not_allowed(key, mailbox, name)]


def _not_allowed(key: ApiKey, named: NamedMailbox, field: str) -> list[Invalid]:
    if is_allowed(named.mailbox, key.senders):
        return []
    place = "" if field == _FROM else f", nor name that address in the header {field.title()}"
    message = f"This key may not send as {named.mailbox}{place}."
    return [Invalid(field, "sender_not_allowed", message, {"address": named.mailbox.address})]


def _time_faults(submission: Submission, now: datetime) -> list[Invalid]:
    faults = []
    if submission.send_at is not None and submission.send_at > now + FARTHEST:
        faults.append(Invalid("send_at", "too_far", "At most one year ahead."))
    if submission.expires_at is not None and submission.expires_at <= max(submission.send_at or now, now):
        faults.append(Invalid("expires_at", "too_early", "It must lie in the future, and after send_at."))
    return faults
