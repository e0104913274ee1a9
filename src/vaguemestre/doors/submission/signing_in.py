"""Who signs in: asks the ledger, and says in the log why it was refused.

Plain synchronous functions, called in the ledger's threads; they never raise for what a submitter or the
database does.

Promises: the answer is the same for every fault of a key; only the log tells them apart. It has the public
part of a key, and never what may be a secret: some type their password where the user name belongs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network

from vaguemestre.doors.submission import answers, troubles
from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.terms import Peer
from vaguemestre.ledger import keys
from vaguemestre.ledger.models import ApiKey

SCOPE = "send"
SHOWN = 64  # characters of a user name
# Short words in lower case, each with three digits at most behind it: `app`, `shop-2+invoices`,
# `boss@example.org`. What somebody made up as a password, or a machine did, hardly ever is.
_NAME = re.compile(r"(?!vgm_)[a-z]{1,15}\d{0,3}(?:[-._+@](?:[a-z]{1,15}\d{0,3}|\d{1,3}))*")


@dataclass(frozen=True)
class Denied:
    """Why somebody is not signed in.

    Attributes:
        reply: what to answer.
        why: unknown, revoked, scope, network, banned, or database; for the log alone.
        key: the public part of the key, where it is one's of ours.
    """

    reply: Answer
    why: str
    key: str | None = None


def sign_in(credentials: Credentials, peer: Peer, now: datetime) -> ApiKey | Denied:
    """The key that the password is, if it may submit from this peer."""
    text = credentials.key.reveal()
    try:
        key = keys.authenticate(text, now)
        if key is None:
            return Denied(answers.AUTH_FAILED, *keys.why_not(text))
    except Exception as error:  # noqa: BLE001  the submitter is not to blame
        troubles.tell("sign_in_failed", error)
        return Denied(answers.AUTH_LATER, "database")
    if SCOPE not in key.scopes:
        return Denied(answers.AUTH_FAILED, "scope", key.prefix)
    return key if _from_here(key, peer) else Denied(answers.AUTH_FAILED, "network", key.prefix)


def _from_here(key: ApiKey, peer: Peer) -> bool:
    return not key.networks or peer.within(tuple(ip_network(network) for network in key.networks))


def shown(credentials: Credentials) -> str | None:
    """A user name as the log may have it; None where it might be a password.

    So where what came as the password has no key's form: the two may have changed places.
    """
    named = credentials.key.reveal().startswith(keys.PREFIX) and _NAME.fullmatch(credentials.user)
    return credentials.user[:SHOWN] if named else None
