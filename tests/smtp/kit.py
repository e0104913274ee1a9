"""A flow of the tests, which remembers what a session told it; messages; a lazily produced body; scripts."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import deque

from scripted.client import SHORT, envelope, hop_to
from scripted.server import ScriptedServer
from scripted.sink import SinkServer
from vaguemestre.mail.manner import Manner
from vaguemestre.smtp.body import Held
from vaguemestre.smtp.flow import Limits, Message, StageRefused
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.timeouts import Timeouts
from vaguemestre.smtp.window import convey

CONTENT = b"Subject: x\r\n\r\nbody\r\n"
QUICK = Timeouts().at_most(0.3)
BOTH = (*SinkServer.keywords, "CHUNKING")
KEYWORDS = {Manner.SINGLE: (), Manner.DATA: SinkServer.keywords, Manner.BDAT: BOTH}


def message(*recipients: str, content: bytes = CONTENT, sender="sender@example.org", alone: bool = False):
    """For one@example.org if nobody is named."""
    return Message(envelope(*recipients, sender=sender), Held(content), alone=alone)


def numbered(count: int) -> list[Message]:
    """Messages that can be told from each other: to r0@example.org, r1@ ... each with 20 octets of content."""
    return [
        message(f"r{n}@example.org", content=b"Subject: %04d\r\n\r\n.x" % n + b"\r\n") for n in range(count)
    ]


class Lazy:
    """A body that is made while it is read; nothing keeps it.

    Attributes:
        given: octets that were handed out, all readings together.
    """

    ascii = short_lines = True
    header = b"Subject: large\r\n"

    def __init__(
        self, blocks: int, block: bytes = (b"z" * 1022 + b"\r\n") * 256, *, last: bytes = b""
    ) -> None:
        self._blocks, self._block, self._last = blocks, block, last
        self.size = blocks * len(block) + len(last)
        self.given = 0

    async def blocks(self):
        for piece in (*[self._block] * self._blocks, self._last):
            if piece:
                self.given += len(piece)
                yield bytes(bytearray(piece))  # a new object each time, so that memory shows who keeps it

    async def fitted(self, **_):
        return self


class Queue:
    """A flow.

    Attributes:
        results: of each settled message, in the order they were settled.
        given_back: the messages returned.
        stages: what was staged, call by call: messages with the recipients' addresses.
        waiting: what was not asked for yet.
    """

    def __init__(self, messages, *, may=lambda message: True, stage=None):
        self.waiting = deque(messages)
        self.results = {}
        self.given_back = []
        self.stages = []
        self._may = may
        self._stage = stage

    async def next(self):
        return self.waiting.popleft() if self.waiting else None

    async def stage(self, taken):
        self.stages.append([(one, [path.address for path in paths]) for one, paths in taken])
        if self._stage is not None:
            await self._stage()
        return [self._may(one) for one, _ in taken]

    def settled(self, message, result):
        assert message not in self.results
        assert message not in self.given_back
        assert [one.recipient for one in result.outcomes] == list(message.envelope.recipients)
        self.results[message] = result

    def failed(self, message):  # noqa: ARG002  whichever
        raise sys.exception()

    def returned(self, message):
        assert message not in self.results
        assert message not in self.given_back
        self.given_back.append(message)

    @property
    def outcomes(self):
        """Every outcome, in the order that the messages were settled in."""
        return [outcome for result in self.results.values() for outcome in result.outcomes]


async def refuse():
    """A stage for a `Queue` that lets nothing pass."""
    raise StageRefused


async def pause():
    """A stage for a `Queue` that takes its time."""
    await asyncio.sleep(0.1)


def blame(outcome):
    """Phase, cause and code of an outcome that is not acceptance; None for acceptance."""
    trouble = outcome.trouble
    if trouble is None:
        return None
    return trouble.phase, trouble.cause, None if trouble.reply is None else trouble.reply.code


# Dialogues


def opened(*keywords: str) -> str:
    """Greeting and EHLO of a script."""
    lines = "\\r\\n".join(["250-mx", *(f"250-{word}" for word in keywords[:-1]), f"250 {keywords[-1]}"])
    return f"S: 220 mx\nC: EHLO client.example.org\nS- {lines}\\r\\n\n"


RSET = "C: RSET\n"
MAIL = "C: MAIL FROM:<sender@example.org>\n"
DATA = "C: DATA\n"
OK = "S: 250 ok\n"
SYNC = "C: EHLO client.example.org\n"  # behind a window, in the same write
HELLO = ("250-mx", "250-PIPELINING", "250 CHUNKING")
BYE = "C: QUIT\nS: 221 bye\n@close"


def rcpt(*names: str) -> str:
    return "".join(f"C: RCPT TO:<{name}@example.org>\n" for name in names)


def said(*lines: str) -> str:
    """Replies, all in one segment."""
    return "S- " + "".join(f"{line}\\r\\n" for line in lines) + "\n"


def bdat(size: int = 20, *, last: bool = True) -> str:
    return f"C: BDAT {size}{' LAST' if last else ''}\n@read {size}\n"


async def played(
    script, network, messages, manner, *, timeouts=SHORT, limits=None, flow=None, window=1, **server
):
    """What a flow was told, whether the session may be used again, and the server that played the script."""
    flow = flow or Queue(messages)
    async with ScriptedServer(script, **server) as scripted:
        session = await open_session(hop_to(scripted), network, timeouts)
        session.window = window
        await convey(session, flow, manner, limits or Limits())
        reusable = session.reusable
        await session.quit()
    assert session.in_flight == 0
    return flow, reusable, scripted


def verbs(sink) -> str:
    """The commands that a sink heard, in letters: E(HLO), M(AIL), R(CPT), D(ATA), B(DAT), S for RSET, Q(UIT)."""
    letters = {"RSET": "S"}
    return "".join(letters.get(line.split()[0], line[0]) for _, line in sink.commands)


def bare(data: bytes) -> bool:
    """Whether a CR or LF stands alone in what a server heard."""
    return re.search(rb"\r(?!\n)|(?<!\r)\n", data) is not None
