"""A person's consent, from the button to the way back: what is kept meanwhile, and what makes it theirs.

What is asked is kept in the person's own session, on our side: the verifier of PKCE never reaches the
browser. The state that travels is signed, names that request, counts for ten minutes, and once.

Fails with `Astray` where what comes back answers nothing that this session asked.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.urls import reverse

from vaguemestre.ledger import vault
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.oauth2 import account_of
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Account
from vaguemestre.providers.oauth2.consent import consent_url, new_verifier

LASTS = 600  # seconds
_KEPT = "oauth2_consent"
_SALT = "vaguemestre.console.oauth2"


class Astray(Exception):
    """It answers nothing that was asked here, or did so before, or too late."""


@dataclass(frozen=True)
class Asked:
    """What was asked.

    Attributes:
        uid: of the connection.
        verifier: of PKCE.
        account: a digest of the account as it was then, and of where its tokens would go.
    """

    uid: str
    verifier: Secret
    account: str

    def fits(self, connection: Connection) -> bool:
        """Whether both are still those: a code for another account or mail server is not exchanged."""
        return hmac.compare_digest(self.account, _digest(connection))


def redirect_uri() -> str:
    """Where the provider sends people back to: to be registered there, exactly."""
    return f"{settings.ENVIRONMENT.base_url.rstrip('/')}{reverse('oauth2:callback')}"


def ask(session: SessionBase, connection: Connection) -> None:
    """Begin: remember what is asked, in place of what was asked before."""
    session[_KEPT] = {
        "name": secrets.token_urlsafe(16),
        "uid": str(connection.uid),
        "verifier": new_verifier().reveal(),
        "account": _digest(connection),
    }


def address(session: SessionBase, connection: Connection) -> tuple[Account, str]:
    """The account that was asked about, and where to send the browser.

    Raises:
        Astray: nothing was asked about this connection.
    """
    kept, account = session.get(_KEPT), account_of(connection)
    if kept is None or account is None or kept["uid"] != str(connection.uid):
        raise Astray
    state = signing.dumps(kept["name"], salt=_SALT)
    return account, consent_url(account, redirect_uri(), state, Secret(kept["verifier"]))


def answered(session: SessionBase, state: str) -> Asked:
    """What this state answers; it is forgotten by that.

    Raises:
        Astray.
    """
    try:
        name = signing.loads(state, salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        raise Astray from None
    kept = session.get(_KEPT)
    if kept is None or not hmac.compare_digest(str(name), kept["name"]):
        raise Astray
    del session[_KEPT]
    return Asked(kept["uid"], Secret(kept["verifier"]), kept["account"])


def _digest(connection: Connection) -> str:
    bound = vault.binding(connection).hex()
    return signing.Signer(salt=_SALT).signature(f"{account_of(connection)!r} {bound}")
