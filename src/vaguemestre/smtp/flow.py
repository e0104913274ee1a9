"""Where a session's messages come from and where their results go: the courier's side of a session.

A session pulls what it can carry and tells the end of each message exactly once: `settled` if it was begun,
`returned` if it was not, `failed` if it cannot be. Only where an exception ends the whole (a stage that fails
otherwise than by `StageRefused`, a cancellation) do the messages in hand stay untold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.value import entity
from vaguemestre.smtp.body import Body
from vaguemestre.smtp.outcome import Result


@entity
class Message:
    """What is to be handed over.

    Attributes:
        envelope: from whom, for whom.
        body: as it is to leave.
        alone: whether its end of data never shares a write with another message's commands or content: for
            mail whose doubt a person would have to decide.
    """

    envelope: Envelope
    body: Body
    alone: bool = False


@dataclass(frozen=True)
class Limits:
    """What may be in flight at once.

    Attributes:
        window: transactions (BDAT).
        commands: commands in one write: their replies fit in what a session buffers unread.
        octets: of content in one window.
        patience: seconds in which a whole window is to be answered: it grows no further, and else shrinks.
        rest: seconds of silence after which a session proves itself before content is put on it.
    """

    window: int = 16
    commands: int = 100
    octets: int = 1_048_576
    patience: float = 5.0
    rest: float = 5.0


class StageRefused(Exception):
    """Raised by a stage: these transactions may not be finished. No end of data is written."""


class Flow(Protocol):
    """One session's messages, in order."""

    async def next(self) -> Message | None:
        """The next message; None if there is no more now."""

    async def stage(self, taken: Sequence[tuple[Message, tuple[Mailbox, ...]]]) -> Sequence[bool]:
        """Commit, for all at once, that their end of data is about to go out.

        A message that the server asks for once more in a simpler form (555, faults U24) is staged again.

        Args:
            taken: each message with the recipients that it may reach: those that the server took, or all that
                are offered where its answers are not known yet.

        Returns:
            For each, whether it may be finished.

        Raises:
            StageRefused: none may.
        """

    def settled(self, message: Message, result: Result) -> None:
        """What became of a message that was begun."""

    def failed(self, message: Message) -> None:
        """A message that a fault of ours keeps from being offered; called while the exception is handled."""

    def returned(self, message: Message) -> None:
        """A message that was never offered, for a fault that is not its own."""
