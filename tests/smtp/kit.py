"""A flow of the tests: messages in, and everything that a session told of them."""

from __future__ import annotations

import asyncio
from collections import deque

from scripted.client import envelope
from vaguemestre.mail.manner import Manner
from vaguemestre.smtp.body import Held
from vaguemestre.smtp.flow import Message, StageRefused

CONTENT = b"Subject: x\r\n\r\nbody\r\n"
MANNERS = list(Manner)


def message(*recipients: str, content: bytes = CONTENT, sender="sender@example.org", alone: bool = False):
    """For one@example.org if nobody is named."""
    return Message(envelope(*recipients, sender=sender), Held(content), alone=alone)


def numbered(count: int) -> list[Message]:
    """Messages that can be told from each other: to r0@, r1@ ..."""
    return [message(f"r{n}@example.org", content=b"Subject: %d\r\n\r\n.\r\n" % n) for n in range(count)]


class Queue:
    """A flow.

    Attributes:
        results: of each settled message, in the order they were settled.
        given_back: the messages returned.
        stages: what was staged, call by call: messages with the recipients' addresses.
    """

    def __init__(self, messages, *, may=lambda message: True, refuse=False, pause: float = 0.0):
        self.waiting = deque(messages)
        self.results: dict[Message, object] = {}
        self.given_back: list[Message] = []
        self.stages: list[list[tuple[Message, list[str]]]] = []
        self._may = may
        self._refuse = refuse
        self._pause = pause

    async def next(self):
        return self.waiting.popleft() if self.waiting else None

    async def stage(self, taken):
        self.stages.append([(one, [path.address for path in paths]) for one, paths in taken])
        await asyncio.sleep(self._pause)
        if self._refuse:
            raise StageRefused
        return [self._may(one) for one, _ in taken]

    def settled(self, message, result):
        assert message not in self.results
        assert message not in self.given_back
        assert [one.recipient for one in result.outcomes] == list(message.envelope.recipients)
        self.results[message] = result

    def returned(self, message):
        assert message not in self.results
        assert message not in self.given_back
        self.given_back.append(message)

    @property
    def outcomes(self):
        """Every outcome, in the order that the messages were settled in."""
        return [outcome for result in self.results.values() for outcome in result.outcomes]


def blame(outcome):
    """Phase, cause and code of an outcome that is not acceptance."""
    trouble = outcome.trouble
    assert trouble is not None
    return trouble.phase, trouble.cause, None if trouble.reply is None else trouble.reply.code
