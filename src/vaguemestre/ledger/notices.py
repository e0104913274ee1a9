"""Mail of the product itself to one of its people: from a template, through the stream `notifications`.

It is a message like any other: committed before anybody is told, routed as the default and the stream say,
held where there is no route, and given up when what it says is old.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from vaguemestre.ledger.accept import accept
from vaguemestre.ledger.letters import Letter, write
from vaguemestre.ledger.models import Message, User
from vaguemestre.ledger.own_address import address_of
from vaguemestre.ledger.submission import Submission, Via
from vaguemestre.mail.compose import Post, compose
from vaguemestre.mail.mailbox import NamedMailbox

STREAM = "notifications"


def send(
    person: User, template: str, data: Mapping[str, object], now: datetime, old_after: timedelta
) -> Message | None:
    """Hand one over, in the person's language; None where nobody can write to their account's address.

    Raises:
        Refusal: as for any message; a template of one's own may ask for what is not in the data.
    """
    address = address_of(person)
    if address is None:
        return None
    letter = Letter(template, data, person.language, STREAM)
    envelope, content = compose(write(Post(to=(NamedMailbox(address),)), letter))
    return accept(Submission(envelope, content, Via.REPORT, stream=STREAM, expires_at=now + old_after), now)
