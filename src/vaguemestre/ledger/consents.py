"""A person's consent is kept for what they were asked for, and for nothing else (L8).

Between the button and the way back pass minutes, and between a code and its tokens a request: whoever changes
the mail server or the account meanwhile gets no refresh token for it. Nothing fails here but as
`connections.edit` does.
"""

from __future__ import annotations

from datetime import datetime

from vaguemestre.ledger import connections, vault
from vaguemestre.ledger.database import lock, writing
from vaguemestre.ledger.instance import CONFIGURATION_LOCK
from vaguemestre.ledger.models import Connection
from vaguemestre.mail.secret import Secret


def keep(asked: Connection, refresh_token: Secret, actor: str, now: datetime) -> bool:
    """Store what a consent left; False where the connection is not any more as it was when it was asked for.

    `asked` is the connection as it was read then, its account with it.

    Raises:
        Missing, Refusal: as `connections.edit` does.
    """
    with writing():
        lock(CONFIGURATION_LOCK)  # no edit comes in between
        if vault.binding(connections.find(str(asked.uid))) != vault.binding(asked):
            return False
        values = {"oauth2": {"refresh_token": refresh_token.reveal()}}
        connections.edit(str(asked.uid), values, actor, now)
    return True
