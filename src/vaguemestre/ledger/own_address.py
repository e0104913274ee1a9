"""Whose mailbox a trial may name: that of somebody who has an account here, or a connection's own sender.

No verification and no test message is for a stranger (L9): otherwise either would tell which addresses exist
somewhere, or send mail to them.
"""

from __future__ import annotations

from collections.abc import Iterator

from vaguemestre.ledger.models import Connection, User
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox


def own_address(text: str, field: str) -> Mailbox:
    """The mailbox, if it is one of ours.

    Raises:
        Refusal: it is no address, or somebody else's (code `recipient_not_own`).
    """
    try:
        mailbox = Mailbox.parse(text, field)
    except Invalid as fault:
        raise Refusal(fault) from None
    if mailbox.wire.casefold() not in set(_ours()):
        message = "Give the address of somebody who has an account here, or the sender of a connection."
        raise Refusal(Invalid(field, "recipient_not_own", message))
    return mailbox


def address_of(user: object) -> Mailbox | None:
    """The mailbox of a person; None where their account has none that can be written to."""
    try:
        return Mailbox.parse(user.email) if isinstance(user, User) else None
    except Invalid:
        return None


def _ours() -> Iterator[str]:
    senders = Connection.objects.filter(deleted_at=None).values_list("sender_ascii", flat=True)
    yield from (sender.casefold() for sender in senders)
    people = map(address_of, User.objects.filter(is_active=True))
    yield from (mailbox.wire.casefold() for mailbox in people if mailbox is not None)
