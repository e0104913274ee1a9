"""Access tokens for whoever signs in: the one at hand, or a fresh one of the provider's token endpoint.

The ledger decides who asks (`ledger.tokens`); this asks, over the one HTTP transport. A token that still
holds serves on while its provider is away. Nothing is asked twice for one caller.

Fails as `providers.oauth2.grants` does: `TokenRefused` where a person has to act, `TokenAway` where it may be
tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from vaguemestre.http_transport import HttpTransport
from vaguemestre.ledger import tokens, vault
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.ledger.tokens import Ask, Held, Wait
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.exchange import WITHIN, obtain
from vaguemestre.providers.oauth2.grants import Refusal, TokenAway, TokenRefused
from vaguemestre.smtp.hop import NextHop

_AWAY = "no_token_for_now"
_PAUSE = 0.1  # seconds between two looks while somebody else asks


class TokenSource:
    """See the module."""

    def __init__(self, http: HttpTransport, threads: LedgerThreads, now: Callable[[], datetime]) -> None:
        self._http = http
        self._threads = threads
        self._now = now

    async def current(self, connection_id: int, hop: NextHop) -> Secret:
        """The access token to sign in with now: `hop.secret` itself while that is the one.

        Raises:
            TokenRefused, TokenAway.
        """
        access = (await self.held(connection_id, hop)).access
        same = hop.secret is not None and hop.secret.reveal() == access.reveal()
        return hop.secret if same and hop.secret is not None else access

    async def fresh(self, connection_id: int, hop: NextHop) -> Secret:
        """Another access token than `hop.secret`, which the server refused.

        Sessions that ask at once for the same refused token share what one of them brings.

        Raises:
            TokenRefused, TokenAway.
        """
        return (await self.held(connection_id, hop, refused=hop.secret)).access

    async def held(self, connection_id: int, hop: NextHop, refused: Secret | None = None) -> Held:
        """The token at hand, with what is known of it.

        Raises:
            TokenRefused, TokenAway.
        """
        clock = asyncio.get_running_loop().time
        patience = clock() + WITHIN
        while True:
            found = await self._looked(connection_id, hop, refused)
            if isinstance(found, Ask):
                return await self._to_the_end(found)
            if isinstance(found, Held):
                return found
            if clock() > patience:
                raise TokenAway("busy")
            await asyncio.sleep(_PAUSE)

    async def _looked(self, connection_id: int, hop: NextHop, refused: Secret | None) -> Held | Ask | Wait:
        try:
            return await self._threads.run(tokens.look, connection_id, hop, refused, self._now())
        except vault.Shut:
            raise TokenRefused(Refusal.NOT_CONNECTED) from None

    async def _to_the_end(self, ask: Ask) -> Held:
        """Whoever waits may be cancelled; what the provider gives is stored first.

        A refresh token may be good for one use, and the one that replaces it is in that answer.
        """
        task = asyncio.create_task(self._asked(ask))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # told to nobody
            raise

    async def _asked(self, ask: Ask) -> Held:
        try:
            token = await obtain(self._http, ask.account, ask.credentials, self._now())
        except TokenAway:
            if ask.meanwhile is not None:
                return ask.meanwhile  # the right is kept for its time: the next try is then
            await self._threads.run(tokens.give_up, ask)
            raise
        except TokenRefused:
            await self._threads.run(tokens.give_up, ask)
            raise
        if not await self._threads.run(tokens.settle, ask, token, self._now()):
            raise TokenAway("changed")  # somebody connected the account anew meanwhile
        return Held(token.access, token.scope, token.expires_at)


def no_token(hop: NextHop, failed: TokenAway | TokenRefused) -> Trouble:
    """No session, for want of a token: until a person acts (row 8), or only for now (row 7)."""
    if isinstance(failed, TokenRefused):
        said = {"oauth_said": failed.said} if failed.said else {}
        facts = {"host": hop.host, "oauth": failed.why.value, **said}
        return Trouble(Phase.AUTH, Cause.NO_TOKEN, None, facts)
    facts = {"host": hop.host, "oauth": _AWAY, "oauth_away": failed.why}
    return Trouble(Phase.AUTH, Cause.TIMEOUT, None, facts)
