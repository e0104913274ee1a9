"""Mail of the product itself to one of its people: from a template, through the stream `notifications`.

It is a message like any other: committed before anybody is told, routed as the default and the stream say,
held where there is no route, and given up when what it says is old. A template of one's own that cannot be
used with our data locks nobody out: the one that came with the product is used, and the log says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from vaguemestre.ledger.accept import accept
from vaguemestre.ledger.letters import Letter, write_anyway
from vaguemestre.ledger.models import Message, User
from vaguemestre.ledger.own_address import address_of
from vaguemestre.ledger.submission import Submission, Via
from vaguemestre.mail.compose import Post, compose
from vaguemestre.mail.mailbox import NamedMailbox

STREAM = "notifications"

log = structlog.get_logger("notices")


def send(
    person: User, template: str, data: Mapping[str, object], now: datetime, old_after: timedelta
) -> Message | None:
    """Hand one over, in the person's language; None where nobody can write to their account's address.

    Raises:
        Refusal: as for any message.
    """
    address = address_of(person)
    if address is None:
        return None
    letter = Letter(template, data, person.language, STREAM)
    post, refusal = write_anyway(Post(to=(NamedMailbox(address),)), letter)
    if refusal is not None:
        log.warning("template_not_used", template=template, why=str(refusal))
    envelope, content = compose(post)
    return accept(Submission(envelope, content, Via.REPORT, stream=STREAM, expires_at=now + old_after), now)
