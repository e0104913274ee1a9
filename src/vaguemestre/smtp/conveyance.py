"""What every manner of writing shares: messages in, results out, commands said and replies heard.

A `Conveyance` is one call of `window.convey`. Whatever ends the dialogue comes as `SessionFailed`, with the
session closed by then; its trouble is what stands behind the fault, and the offers concerned are told by the
manner that wrote them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.transcript import Step
from vaguemestre.smtp.command import Command, end_of_data
from vaguemestre.smtp.flow import Flow, Limits, StageRefused
from vaguemestre.smtp.offer import Offer
from vaguemestre.smtp.session import Session

_GO_ON = frozenset({Phase.RSET, Phase.MAIL})  # 2yz to them says nothing else


@dataclass
class Conveyance:
    """See the module.

    Attributes:
        session: open; used by nobody else meanwhile.
        flow: where messages come from and results go.
        manner: the effective one.
        limits: of what is in flight.
    """

    session: Session
    flow: Flow
    manner: Manner
    limits: Limits
    _put_off: deque[Offer] = field(default_factory=deque)

    # Messages in, results out

    async def pull(self) -> Offer | None:
        """The next message that this server may take; what it rules out is settled without a word to it."""
        if self._put_off:
            return self._put_off.popleft()
        while (message := await self.flow.next()) is not None:
            offer, announced = Offer(message, self.manner, self.session.trouble), self.session.capabilities
            offer.first = not self.session.transactions
            try:
                if not (message.body.ascii and message.body.short_lines):
                    await offer.fit(announced)
                offer.judge(announced)
            except Exception:  # noqa: BLE001  the flow is told of it: it is no other message's fault
                self.flow.failed(message)
                continue
            if not offer.over:
                return offer
            self.dismiss(offer)
        return None

    def put_off(self, offer: Offer) -> None:
        """It is the next to be pulled."""
        self._put_off.append(offer)

    def begin(self, offer: Offer, *, grouped: int = 1) -> list[Command]:
        """Its commands, up to the last RCPT or to DATA. It is to be settled, or given back as begun."""
        session = self.session
        offer.first, offer.grouped = not session.transactions, grouped
        offer.manner = self.manner  # of now: one that was put off was pulled in another
        reset = session.unfinished or (session.transactions > 0 and self.manner is not Manner.SINGLE)
        session.begin()
        return offer.commands(reset=reset)

    def settle(self, offer: Offer) -> None:
        """Tell what became of one that was begun."""
        self.session.ended()
        self.session.unfinished = not offer.accepted
        self.dismiss(offer)

    def dismiss(self, offer: Offer) -> None:
        """Tell what became of one for which nothing was said."""
        self.flow.settled(offer.message, offer.result())

    def give_back(self, *offers: Offer, begun: bool = False) -> None:
        """Tell that they were not offered, or in vain: `begun` if their commands were written."""
        for offer in offers:
            if begun:
                self.session.ended()
            self.flow.returned(offer.message)

    def give_back_put_off(self) -> None:
        """The same of those that were put off."""
        self.give_back(*self._put_off)
        self._put_off.clear()

    async def stage(self, offers: Sequence[Offer]) -> list[Offer]:
        """One commit for all of them; those that may be finished. The outcome of the others is told."""
        try:
            allowed = await self.flow.stage([(offer.message, offer.reach) for offer in offers])
        except StageRefused:
            allowed = [False] * len(offers)
        for number, offer in enumerate(offers):
            offer.staged = allowed[number]
            if not offer.staged:
                self.session.steps = offer.steps
                self.session.record(Step(Phase.CONTENT, offer.shown, None, Cause.STALE))
                offer.fail(self.session.trouble(Phase.CONTENT, Cause.STALE))
        return [offer for offer in offers if offer.staged]

    # The dialogue

    def say(self, offer: Offer, commands: Sequence[Command]) -> None:
        """Write commands, while nothing is outstanding.

        Raises:
            SessionFailed: something came that is not due.
        """
        self.session.steps = offer.steps
        octets = b"".join([command.octets for command in commands])
        self.session.write(commands[0].phase, commands[0].shown, octets)

    async def hear(self, offer: Offer, *commands: Command) -> None:
        """Read the replies to commands.

        Raises:
            SessionFailed: nothing behind one of them can be trusted any more.
        """
        session, replies = self.session, self.session.replies
        session.steps = offer.steps
        for command in commands:
            phase = command.phase
            if replies:  # came together with one that was waited for
                raw = session.heard(phase, command.shown, replies.popleft())
            else:
                raw = await session.receive(phase, command.shown)
            if raw.code < 300 and phase in _GO_ON:
                continue
            if raw.code != 421:
                trouble = offer.heard(command, raw.reply)
            else:
                trouble = offer.closed(command, raw.reply, went_on=await self._goes_on(offer))
            if offer.closes:
                session.poison()
            if trouble is not None:
                raise session.broken(trouble)

    async def end_for_nobody(self, offer: Offer) -> None:
        """The lone dot that 354 asks for where nobody was taken: what came next would be content else.

        Raises:
            SessionFailed: as `say` and `hear`.
        """
        command = end_of_data(offer.shown)
        self.say(offer, [command])
        offer.ended = True
        await self.hear(offer, command)

    async def _goes_on(self, offer: Offer) -> bool:
        """Whether the server speaks on behind the 421 that should be its last word."""
        return offer.ended and self.manner is Manner.BDAT and not await self.session.closes()

    async def introduce(self, offer: Offer, commands: list[Command], *, said: int = 0) -> None:
        """Say commands in groups and read each group's replies, until nobody is left to take the message.

        What is to be offered again is said again, without parameters.

        Args:
            offer: whose.
            commands: in order.
            said: how many of them were written already.

        Raises:
            SessionFailed: as `say` and `hear`.
        """
        at_once = 1 if self.manner is Manner.SINGLE else self.limits.commands
        while commands:
            size = said or at_once
            group, commands = commands[:size], commands[size:]
            if not said:
                self.say(offer, group)
            said = 0
            await self.hear(offer, *group)
            if commands and offer.hopeless:
                break
        if offer.again:
            if offer.asked:
                await self.end_for_nobody(offer)
            await offer.strip()
            await self.introduce(offer, offer.commands(reset=self.manner is not Manner.SINGLE))
