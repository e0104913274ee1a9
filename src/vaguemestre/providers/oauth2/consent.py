"""Asking a person to agree, in their browser: the request with PKCE (RFC 6749 §4.1.1, RFC 7636).

The verifier stays with us and the challenge goes along, so that a code that is caught on its way back is
worth nothing. Nothing fails here.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from urllib.parse import urlencode, urlsplit

from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Account


def new_verifier() -> Secret:
    """A code verifier (RFC 7636 §4.1), of 256 random bits."""
    return Secret(secrets.token_urlsafe(32))


def challenge_of(verifier: Secret) -> str:
    """Its S256 challenge (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def consent_url(account: Account, redirect_uri: str, state: str, verifier: Secret) -> str:
    """Where to send the person's browser."""
    query = {
        "response_type": "code",
        "client_id": account.client_id,
        "redirect_uri": redirect_uri,
        "scope": account.scope,
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
        "login_hint": account.subject,
        **dict(account.usual.asked_further),
    }
    parts = urlsplit(account.authorization_endpoint)
    asked = urlencode({name: value for name, value in query.items() if value})
    return parts._replace(query="&".join(filter(None, (parts.query, asked))), fragment="").geturl()


def origin_of(url: str) -> str:
    """The scheme, host and port of an address, as a policy of content names it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
