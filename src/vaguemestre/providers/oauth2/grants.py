"""Requests for access tokens, and what comes back: RFC 6749 §4.1.3, §4.4.2, §5 and §6, RFC 7523 §2.1.

Pure: a request is a value for `http_transport`, an answer is read at a given time. A client secret goes into
the body (RFC 6749 §2.3.1), as Microsoft and Google document it.

Fails with `TokenRefused` where asking again is of no use, a person has to act, and with `TokenAway` where it
may be: nothing that is wrong with a network or an overloaded server is a refusal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import quote_plus, urlencode

from vaguemestre.http_transport import Address, Answer, Request
from vaguemestre.mail.reply import printable
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import Account, Grant, permissions
from vaguemestre.providers.oauth2.assertion import assertion, claims

TOKEN_LIMIT = 16_384  # characters of an access or refresh token
USUAL_LIFE = 3600  # seconds, where the answer does not say
LONGEST_LIFE = 86_400 * 7
_TOLD = 300  # characters of a provider's words that are kept
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1
_VISIBLE = re.compile(r"[\x20-\x7e]+")  # RFC 6749 appendix A.17


class Refusal(StrEnum):
    """Why there is no token until a person acts."""

    NOT_CONNECTED = "oauth2_not_connected"  # nobody has agreed yet, or the account is not set up
    CONSENT_WITHDRAWN = "oauth2_consent_withdrawn"
    SCOPE_MISSING = "oauth2_scope_missing"
    APPLICATION_REFUSED = "oauth2_application_refused"


class TokenRefused(Exception):
    """The provider gives no token for this account as it is set up.

    Attributes:
        why: what a person has to mend.
        said: the provider's words, made safe.
    """

    def __init__(self, why: Refusal, said: str = "") -> None:
        super().__init__(f"{why.value} {said}".strip())
        self.why = why
        self.said = said


class TokenAway(Exception):
    """No token can be had for now; the account may be in order.

    Attributes:
        why: a code of `http_transport.HttpFailed`, or `answered_503` with the status, `no_token` for an
            answer without one, `busy` or `changed` of this installation's own doing.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Credentials:
    """What an account proves itself with.

    Attributes:
        secret: the client secret, or a service account's private key in PEM; empty for a public client.
        key_id: of that key; "" for none.
        refresh_token: what a person's consent left; empty without one.
    """

    secret: Secret = field(default_factory=lambda: Secret(""))
    key_id: str = ""
    refresh_token: Secret = field(default_factory=lambda: Secret(""))


@dataclass(frozen=True)
class Token:
    """An access token.

    Attributes:
        access: the token.
        expires_at: when it ends, aware.
        scope: what it allows, as far as the answer says or the token shows.
        refresh_token: the one to use from now on; None leaves the old one.
    """

    access: Secret
    expires_at: datetime
    scope: str = ""
    refresh_token: Secret | None = None


@dataclass(frozen=True)
class Agreed:
    """What a person's browser brought back, and what it was asked with.

    Attributes:
        code: good for one exchange.
        verifier: whose challenge went along (RFC 7636).
        redirect_uri: as it was then.
    """

    code: Secret
    verifier: Secret
    redirect_uri: str


def token_request(account: Account, credentials: Credentials, now: datetime) -> Request:
    """Ask for a token without anybody being there.

    Raises:
        TokenRefused: there is nothing to ask with.
    """
    if account.grant is not Grant.AUTHORIZATION_CODE and not credentials.secret:
        raise TokenRefused(Refusal.NOT_CONNECTED)
    if account.grant is Grant.JWT_BEARER:
        signed = assertion(account, credentials.secret, credentials.key_id, now)
        return _request(account, {"grant_type": _JWT_BEARER, "assertion": signed})
    own = _client(account, credentials)
    if account.grant is Grant.CLIENT_CREDENTIALS:
        return _request(account, {"grant_type": "client_credentials", "scope": account.scope, **own})
    if not credentials.refresh_token:
        raise TokenRefused(Refusal.NOT_CONNECTED)
    refresh = {"grant_type": "refresh_token", "refresh_token": credentials.refresh_token.reveal()}
    return _request(account, {**refresh, "scope": account.scope, **own})


_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def code_request(account: Account, credentials: Credentials, agreed: Agreed) -> Request:
    """Ask for the tokens of a person who agreed just now (RFC 7636 §4.5)."""
    form = {
        "grant_type": "authorization_code",
        "code": agreed.code.reveal(),
        "code_verifier": agreed.verifier.reveal(),
        "redirect_uri": agreed.redirect_uri,
    }
    return _request(account, {**form, **_client(account, credentials)})


def _client(account: Account, credentials: Credentials) -> dict[str, str]:
    secret = credentials.secret.reveal()
    return {"client_id": account.client_id, **({"client_secret": secret} if secret else {})}


def _request(account: Account, form: Mapping[str, str]) -> Request:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    body = urlencode({name: value for name, value in form.items() if value}).encode("ascii")
    return Request("POST", Address.parse(account.token_endpoint, "token_endpoint"), headers, body)


def read(answer: Answer, account: Account, credentials: Credentials, now: datetime) -> Token:
    """The token of an answer (RFC 6749 §5.1); its words for people hold nothing that was asked with.

    Raises:
        TokenRefused, TokenAway.
    """
    told = _without(credentials, _object(answer.body))
    if answer.status != 200:
        raise _refusal(account.grant, answer.status, told)
    access = told.get("access_token")
    bearer = str(told.get("token_type", "")).lower() == "bearer"
    if (
        not isinstance(access, str)
        or len(access) > TOKEN_LIMIT
        or not _BEARER.fullmatch(access)
        or not bearer
    ):
        raise TokenAway("no_token")
    life = timedelta(seconds=_seconds(told.get("expires_in")))
    scope = " ".join(permissions(str(told.get("scope") or shown_scope(access) or account.scope)))
    return Token(Secret(access), now + life, printable(scope, _TOLD), _refresh_token(told))


def _without(credentials: Credentials, told: dict[str, Any]) -> dict[str, Any]:
    """What a provider says to people, with nothing of ours that it may have echoed; not yet cut short."""
    secrets = [credentials.secret.reveal(), credentials.refresh_token.reveal()]
    forms = [form for secret in secrets if len(secret) >= 4 for form in (secret, quote_plus(secret))]
    words = {name: told[name] for name in ("error", "error_description", "scope") if name in told}
    for name, text in words.items():
        for form in forms if isinstance(text, str) else ():
            words[name] = words[name].replace(form, "***")
    return told | words


def _refresh_token(told: Mapping[str, Any]) -> Secret | None:
    token = told.get("refresh_token")
    fit = isinstance(token, str) and len(token) <= TOKEN_LIMIT and _VISIBLE.fullmatch(token)
    return Secret(str(token)) if fit else None


def _seconds(told: object) -> float:
    """Some servers write the number as text."""
    try:
        life = float(told) if isinstance(told, int | float | str) else float(USUAL_LIFE)
    except (ValueError, OverflowError):
        life = float(USUAL_LIFE)
    return min(max(life, 0.0), float(LONGEST_LIFE)) if life == life else float(USUAL_LIFE)  # noqa: PLR0124  NaN


def shown_scope(access: str) -> str:
    """What a token says of itself, where it is a JWT: `scp` and `roles` at Microsoft, `scope` by RFC 9068.

    For people and for diagnosis: whether it holds is for the server to say.
    """
    shown = claims(access)
    roles = shown.get("roles")
    words = [shown.get("scp"), shown.get("scope"), *(roles if isinstance(roles, list) else [])]
    return " ".join(word for word in words if isinstance(word, str))


def lacks(account: Account, scope: str) -> str:
    """The first thing that a token with that scope does not allow and has to; "" where all is there.

    Microsoft writes a permission with or without the address of its service.
    """
    if not scope:
        return ""
    granted = {word for full in scope.split() for word in (full, full.rpartition("/")[2]) if word}
    return next((word for word in account.needed if word not in granted), "")


# RFC 6749 §4.1.2.1 and §5.2, OpenID Connect Core §3.1.2.6, and what Microsoft adds to them.
_AGREE_AGAIN = {"access_denied", "interaction_required", "consent_required", "login_required"}
_LATER = {"temporarily_unavailable", "server_error", "slow_down"}


def _refusal(grant: Grant, status: int, told: Mapping[str, Any]) -> TokenRefused | TokenAway:
    error = told.get("error")
    if not isinstance(error, str) or status >= 500 or status == 429 or error in _LATER:
        return TokenAway(f"answered_{status}")
    return refusal(grant, error, told.get("error_description"))


def refusal(grant: Grant, error: str, description: object = "") -> TokenRefused:
    """What an error code means for whoever set the account up."""
    said = description if isinstance(description, str) and description.strip() else error
    return TokenRefused(_why(grant, error), printable(" ".join(said.split()), _TOLD))


def _why(grant: Grant, error: str) -> Refusal:
    if error == "invalid_scope":
        return Refusal.SCOPE_MISSING
    if grant is Grant.AUTHORIZATION_CODE and error in {"invalid_grant", *_AGREE_AGAIN}:
        return Refusal.CONSENT_WITHDRAWN
    # So Google answers where the domain has not delegated the scope to the service account.
    delegation = grant is Grant.JWT_BEARER and error in {"unauthorized_client", "access_denied"}
    return Refusal.SCOPE_MISSING if delegation else Refusal.APPLICATION_REFUSED


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
