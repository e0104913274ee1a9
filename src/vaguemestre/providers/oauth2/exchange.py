"""Asking the token endpoint: one request over the one transport, one deadline, one limit.

Fails as `grants` does; whatever keeps an answer from coming is `TokenAway`.
"""

from __future__ import annotations

from datetime import datetime

from vaguemestre.http_transport import HttpFailed, HttpTransport, Request
from vaguemestre.providers.oauth2.account import Account
from vaguemestre.providers.oauth2.assertion import BadKey
from vaguemestre.providers.oauth2.grants import (
    Agreed,
    Credentials,
    Refusal,
    Token,
    TokenAway,
    TokenRefused,
    code_request,
    read,
    token_request,
)

WITHIN = 6.0  # seconds: a verification may wait for another, ask then, and has to end within 15
ANSWER_LIMIT = 65_536  # octets


async def obtain(http: HttpTransport, account: Account, credentials: Credentials, now: datetime) -> Token:
    """A fresh access token.

    Raises:
        TokenRefused, TokenAway.
    """
    try:
        request = token_request(account, credentials, now)
    except BadKey:
        raise TokenRefused(Refusal.APPLICATION_REFUSED, "the private key cannot sign") from None
    return await _ask(http, request, account, credentials, now)


async def redeem(
    http: HttpTransport, account: Account, credentials: Credentials, agreed: Agreed, now: datetime
) -> Token:
    """The first tokens of a person who agreed just now.

    Raises:
        TokenRefused, TokenAway.
    """
    return await _ask(http, code_request(account, credentials, agreed), account, credentials, now)


async def _ask(
    http: HttpTransport, request: Request, account: Account, credentials: Credentials, now: datetime
) -> Token:
    try:
        answer = await http.send(request, within=WITHIN, at_most=ANSWER_LIMIT)
    except HttpFailed as failed:
        raise TokenAway(failed.why) from None
    return read(answer, account, credentials, now)
