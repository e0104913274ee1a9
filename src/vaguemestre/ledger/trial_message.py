"""A test message: an ordinary message to the reader's own address, through the four rooms like any other.

It asks for its connection by name, and routing decides as for every message (L2, L3): `carrier` says
beforehand whether it would leave through that connection at all. One that waits for more than an hour is
given up: by then nobody looks for it any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from vaguemestre.ledger import accept
from vaguemestre.ledger.models import Connection, Message
from vaguemestre.ledger.submission import Submission, Via
from vaguemestre.mail.compose import Post, compose
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.policy.decision import Route

TAG = "test"
GIVEN_UP = timedelta(hours=1)


def send(connection: Connection, to: Mailbox, via: Via, now: datetime) -> Message:
    """Hand one over, in the active language.

    Raises:
        Refusal: as for any message.
    """
    facts = {"host": connection.host, "sender": connection.sender_email}
    text = _(
        "This is a test message from Vaguemestre.\n\nIt was handed to %(host)s, to leave as %(sender)s. That"
        " you read it shows that messages arrive this way.\n\nIf it was put aside as spam, look for"
        " “Authentication-Results” in its header section: SPF, DKIM and DMARC should say “pass” there.\n"
    )
    post = Post(
        to=(NamedMailbox(to),),
        from_=NamedMailbox(Mailbox.parse(connection.sender_ascii), connection.sender_name),
        subject=_("Test message from Vaguemestre"),
        text=text % facts,
    )
    envelope, content = compose(post)
    asked = str(connection.uid)
    submission = Submission(envelope, content, via, connection=asked, tags=(TAG,), expires_at=now + GIVEN_UP)
    return accept.accept(submission, now)


def carrier(connection: Connection) -> Connection | None:
    """The connection that such a message would leave through as things are; None where it would be held."""
    decision = accept.explain(None, connection.sender_ascii, str(connection.uid))
    return Connection.objects.get(pk=decision.connection_id) if isinstance(decision, Route) else None
