"""The ladder of a verification: the very session that a courier would open, and what else is worth knowing.

Up to the sender it is delivery's own code (`bring_up`); then the server is asked whether it takes mail from
the sender, and to `recipient` where one is named, and no mail is sent. Beside it, where the server has
addresses of both families, one of the other family is dialled too and left at once: a family that is dead
costs every session its time, and shows in no delivery.

It never outlasts `within` by more than `_SPARE`, and never fails: what went wrong is the trouble it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from vaguemestre.egress import IPAddress
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.transcript import Step, Transcript
from vaguemestre.providers.oauth2.grants import TokenAway, TokenRefused
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.opening import bring_up
from vaguemestre.smtp.question import ask
from vaguemestre.smtp.session import Session, SessionFailed
from vaguemestre.smtp.timeouts import Timeouts
from vaguemestre.token_source import no_token
from vaguemestre.verification.sign_in import ASKS, SignIn, SignInToken, with_lacking

ALSO = "also connect to"  # how a step of the other family begins
FAMILY_PATIENCE = 2.0  # seconds in which the other family has to answer
_SPARE = 0.5  # seconds beyond the dialogue's own deadlines


@dataclass(frozen=True)
class Silent:
    """An address of the other family that did not answer, though it has a way there."""

    address: IPAddress
    cause: Cause


class Climb:
    """See the module. Made and run in one event loop.

    Attributes:
        session: of the dialogue.
        transcript: every step until now, the other family's too.
        silent: what the other family did not answer; None where there is none, or it did.
    """

    def __init__(  # noqa: PLR0913  what a courier's session takes, and what is asked beyond it
        self,
        hop: NextHop,
        network: Network,
        timeouts: Timeouts,
        within: float,
        *,
        observe: Callable[[Step], None],
        recipient: Mailbox | None = None,
        sign_in: SignIn | None = None,
    ) -> None:
        self.session = Session(hop, network, timeouts.at_most(within), self._record)
        self.transcript: Transcript = ()
        self.silent: Silent | None = None
        self._observe = observe
        self._timeouts = timeouts
        self._within = within
        self._recipient = recipient
        self._sign_in = sign_in
        self._token: SignInToken | None = None
        self._end = network.monotonic() + within
        self._beside: asyncio.Task[None] | None = None

    async def run(self) -> Trouble | None:
        """Climb, say goodbye, and answer with what ended it; None if nothing did."""
        try:
            trouble = await self._climb()
            if trouble is not None:
                self.session.mute()
            await self.session.quit()
            await self._other_family_known()
        finally:
            self.session.abort()
            if self._beside is not None:
                self._beside.cancel()
        return trouble

    async def _climb(self) -> Trouble | None:
        try:
            async with asyncio.timeout(self._within + _SPARE):
                await self._take_token()
                await bring_up(self.session)
                await ask(self.session, self._recipient)
        except SessionFailed as failure:
            return with_lacking(failure.trouble, self._token)
        except TimeoutError:
            # The phases' deadlines come first; this one holds where one of them should not.
            phase = self.transcript[-1].phase if self.transcript else Phase.RESOLVE
            return self.session.trouble(phase, Cause.TIMEOUT)
        return None

    async def _take_token(self) -> None:
        """Ahead of the dialogue, where it signs in with one: the server is not kept waiting."""
        if self._sign_in is None:
            return
        hop, network = self.session.hop, self.session.network
        asked, started = f"{ASKS} {self._sign_in.place}".strip(), network.monotonic()
        try:
            self._token = await self._sign_in.ask()
        except (TokenAway, TokenRefused) as failed:
            trouble = no_token(hop, failed)
            told = trouble.facts.get("oauth_said") or trouble.facts.get("oauth_away", "")
            self._record(Step(Phase.AUTH, asked, None, trouble.cause, network.monotonic() - started, told))
            raise SessionFailed(trouble, self.transcript) from None
        elapsed = network.monotonic() - started
        signed = replace(hop, secret=self._token.access)
        self.session = Session(signed, network, self.session.timeouts, self._record)
        self._record(Step(Phase.AUTH, asked, None, None, elapsed, self._token.scope))

    def _record(self, step: Step) -> None:
        self._show(step)
        self._share_what_is_left()
        if step.phase is Phase.CONNECT and step.error is None:
            self._try_the_other_family()

    def _show(self, step: Step) -> None:
        self.transcript = (*self.transcript, step)
        self._observe(step)

    def _share_what_is_left(self) -> None:
        """Let no later phase outlast the whole. Two of them take their time twice: a certificate that is
        refused is read again, and after QUIT the link is closed.
        """
        left = self._left()
        short = self._timeouts.at_most(left)
        self.session.timeouts = replace(short, tls=min(short.tls, left / 2), quit=min(short.quit, left / 2))

    def _left(self) -> float:
        return max(self._end - self.session.network.monotonic(), 0.0)

    # The other address family

    def _try_the_other_family(self) -> None:
        hop, peer = self.session.hop, self.session.peer
        others = [one for one in self.session.addresses if one.version != (6 if ":" in peer else 4)]
        if others and not hop.source_address:  # which is of one family, and keeps its sessions in it
            self._beside = asyncio.create_task(self._dial(others[0]))

    async def _dial(self, address: IPAddress) -> None:
        network, port = self.session.network, self.session.hop.port
        started = network.monotonic()
        cause = await network.answers(address, port, within=min(FAMILY_PATIENCE, self._left()))
        elapsed = network.monotonic() - started
        self._show(Step(Phase.CONNECT, f"{ALSO} {address} port {port}", None, cause, elapsed, str(address)))
        if cause not in {None, Cause.UNREACHABLE}:  # which is this machine's own lack, and costs no time
            self.silent = Silent(address, cause)

    async def _other_family_known(self) -> None:
        if self._beside is not None:
            await asyncio.wait({self._beside}, timeout=self._left())
