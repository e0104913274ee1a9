"""Sessions that sign in with a token of OAuth 2.0: asked for where there is none, refreshed once where the
server refuses it (fault U23).

A second refusal is the connection's fault as a refused password is (row 8): a person has to connect it anew.
A source of tokens that is away for now is none: row 7. Where tokens come from is `Tokens`' business.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.secret import Secret
from vaguemestre.mail.transcript import Transcript
from vaguemestre.policy import wording
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.session import Session, SessionFailed
from vaguemestre.smtp.timeouts import Timeouts


class TokensAway(Exception):
    """No token can be had for now; the account may be in order."""


class Tokens(Protocol):
    """Where access tokens come from."""

    async def fresh(self, connection_id: int, refused: Secret | None) -> Secret | None:
        """Another access token than the refused one; None where a person has to connect the account anew.

        Sessions of one connection may ask at once for the same refused token: it is refreshed once, and who
        comes later is given what that brought.

        Raises:
            TokensAway: ask later.
        """
        ...


class NoTokens:
    """For an installation without any."""

    async def fresh(self, connection_id: int, refused: Secret | None) -> Secret | None:  # noqa: ARG002
        """None."""
        return None


async def open_signed_in(
    connection_id: int, hop: NextHop, tokens: Tokens, network: Network, timeouts: Timeouts
) -> Session:
    """A session as `open_session` opens it. Its `hop` holds the token that was taken: the one to go on with.

    Raises:
        SessionFailed: of the last try; there are two at most.
    """
    if hop.auth is not AuthKind.OAUTH2:
        return await open_session(hop, network, timeouts)
    if not hop.secret:
        hop = await _with_another(connection_id, hop, tokens) or hop
        return await open_session(hop, network, timeouts)
    try:
        return await open_session(hop, network, timeouts)
    except SessionFailed as failed:
        if not token_refused(failed.trouble):
            raise
        renewed = await _with_another(connection_id, hop, tokens, failed.transcript)
        if renewed is None:
            raise
    return await open_session(renewed, network, timeouts)


def token_refused(trouble: Trouble) -> bool:
    """Whether another token may cure it: a 5yz to AUTH that is about who signs in, not from where or how."""
    reply = trouble.reply
    if trouble.phase is not Phase.AUTH or trouble.cause is not Cause.REPLY or reply is None:
        return False
    about_us = wording.access(reply) in {None, wording.Access.AUTHENTICATION_REQUIRED}
    return reply.permanent and about_us and not wording.limit_reached(reply)


async def _with_another(
    connection_id: int, hop: NextHop, tokens: Tokens, transcript: Transcript = ()
) -> NextHop | None:
    try:
        secret = await tokens.fresh(connection_id, hop.secret)
    except TokensAway:
        trouble = Trouble(Phase.AUTH, Cause.TIMEOUT, None, {"host": hop.host, "oauth": "no_token_for_now"})
        raise SessionFailed(trouble, transcript) from None
    return replace(hop, secret=secret) if secret else None
