"""A transaction by itself: one message over an open session, one command at a time (RFC 5321 §3.3).

`transact` is `window.convey` with a flow of one. It raises nothing of SMTP: the result says it all, recipient
by recipient.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.manner import Manner
from vaguemestre.smtp.body import Held
from vaguemestre.smtp.flow import Message, StageRefused
from vaguemestre.smtp.outcome import Outcome, Result
from vaguemestre.smtp.session import Session
from vaguemestre.smtp.window import convey

__all__ = ["Outcome", "Result", "Stage", "StageRefused", "transact"]

type Stage = Callable[[tuple[Mailbox, ...]], Awaitable[None]]


async def transact(session: Session, envelope: Envelope, content: bytes, stage: Stage) -> Result:
    """Hand one message over.

    Args:
        session: open and idle; used by nobody else meanwhile.
        envelope: from whom, for whom.
        content: header section and body as they are to leave, lines ended by CRLF.
        stage: awaited, with the recipients that the server took, when the content was written and only
            its end is missing. `StageRefused` ends the transaction without it; any other exception does the
            same, and is raised again.

    Raises:
        ValueError: a bare CR or LF in the content. Nothing was written.
    """
    flow = _One(Message(envelope, Held(content)), stage)
    await convey(session, flow, Manner.SINGLE)
    return flow.results[0]


class _One:
    """The flow of one message."""

    def __init__(self, message: Message, stage: Stage) -> None:
        self._messages = [message]
        self._stage = stage
        self.results: list[Result] = []

    async def next(self) -> Message | None:
        return self._messages.pop() if self._messages else None

    async def stage(self, taken: Sequence[tuple[Message, tuple[Mailbox, ...]]]) -> Sequence[bool]:
        for _, recipients in taken:
            await self._stage(recipients)
        return [True] * len(taken)

    def settled(self, message: Message, result: Result) -> None:  # noqa: ARG002  there is one
        self.results.append(result)

    def failed(self, message: Message) -> None:  # noqa: ARG002  there is only the one
        """To the caller."""
        raise  # noqa: PLE0704  what is being handled

    def returned(self, message: Message) -> None:
        raise AssertionError(f"the only message was not begun: {message}")
