"""Sessions that sign in with a token of OAuth 2.0: asked for before one is dialled, refreshed once where the
server refuses it (fault U23).

A second refusal is the connection's fault as a refused password is (row 8), and so is a provider that gives
no token: a person has to connect it anew. A source of tokens that is away for now is none: row 7. Where
tokens come from is `Tokens`' business.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol

from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.secret import Secret
from vaguemestre.mail.transcript import Transcript
from vaguemestre.policy import wording
from vaguemestre.providers.oauth2.grants import Refusal, TokenAway, TokenRefused
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.session import Session, SessionFailed
from vaguemestre.smtp.timeouts import Timeouts
from vaguemestre.token_source import no_token


class Tokens(Protocol):
    """Where access tokens come from (`token_source`)."""

    async def current(self, connection_id: int, hop: NextHop) -> Secret:
        """The access token to sign in with now: `hop.secret` itself while that is the one.

        Raises:
            TokenRefused: a person has to connect the account anew.
            TokenAway: ask later.
        """
        ...

    async def fresh(self, connection_id: int, hop: NextHop) -> Secret:
        """Another access token than `hop.secret`, which the server refused.

        Sessions of one connection may ask at once for the same refused token: it is refreshed once, and who
        comes later is given what that brought.

        Raises:
            TokenRefused: a person has to connect the account anew.
            TokenAway: ask later.
        """
        ...


class NoTokens:
    """For an installation without any."""

    async def current(self, connection_id: int, hop: NextHop) -> Secret:  # noqa: ARG002
        """Raises TokenRefused."""
        raise TokenRefused(Refusal.NOT_CONNECTED)

    async def fresh(self, connection_id: int, hop: NextHop) -> Secret:  # noqa: ARG002
        """Raises TokenRefused."""
        raise TokenRefused(Refusal.NOT_CONNECTED)


async def open_signed_in(
    connection_id: int, hop: NextHop, tokens: Tokens, network: Network, timeouts: Timeouts
) -> Session:
    """A session as `open_session` opens it. Its `hop` holds the token that was taken: the one to go on with.

    Raises:
        SessionFailed: of the last try; there are two at most.
    """
    if hop.auth is not AuthKind.OAUTH2:
        return await open_session(hop, network, timeouts)
    hop = await with_token(connection_id, hop, tokens)
    try:
        return await open_session(hop, network, timeouts)
    except SessionFailed as failed:
        if not token_refused(failed.trouble):
            raise
        renewed = await _another(tokens.fresh(connection_id, hop), hop, failed)
    return await open_session(renewed, network, timeouts)


async def with_token(connection_id: int, hop: NextHop, tokens: Tokens) -> NextHop:
    """The hop with the access token of now, where it signs in with one.

    Raises:
        SessionFailed: there is none.
    """
    if hop.auth is not AuthKind.OAUTH2:
        return hop
    return replace(hop, secret=await _token(tokens.current(connection_id, hop), hop))


async def with_fresh_token(connection_id: int, hop: NextHop, tokens: Tokens) -> NextHop:
    """The hop with another token than the one it has, which was refused.

    Raises:
        SessionFailed: there is none.
    """
    return replace(hop, secret=await _token(tokens.fresh(connection_id, hop), hop))


def token_refused(trouble: Trouble) -> bool:
    """Whether another token may cure it: a 5yz to AUTH that is about who signs in, not from where or how."""
    reply = trouble.reply
    if trouble.phase is not Phase.AUTH or trouble.cause is not Cause.REPLY or reply is None:
        return False
    about_us = wording.access(reply) in {None, wording.Access.AUTHENTICATION_REQUIRED}
    return reply.permanent and about_us and not wording.limit_reached(reply)


async def _token(asked: Awaitable[Secret], hop: NextHop, transcript: Transcript = ()) -> Secret:
    try:
        return await asked
    except (TokenAway, TokenRefused) as failed:
        raise SessionFailed(no_token(hop, failed), transcript) from None


async def _another(asked: Awaitable[Secret], hop: NextHop, failed: SessionFailed) -> NextHop:
    """The hop with another token. Where nobody can set one up, the server's own refusal says more."""
    try:
        return replace(hop, secret=await _token(asked, hop, failed.transcript))
    except SessionFailed as untold:
        if untold.trouble.facts.get("oauth") == Refusal.NOT_CONNECTED:
            raise failed from None
        raise
