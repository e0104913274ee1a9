"""Scripts of windows: one message by itself, which the careful way proves the session with, then three at once."""

from __future__ import annotations

from smtp.kit import BYE, HELLO, MAIL, OK, RSET, SYNC, bdat, blame, message, opened, played, rcpt, said
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase

ZERO, ONE, TWO, THREE = MESSAGES = [
    message(f"{name}@example.org") for name in ("zero", "one", "two", "three")
]
OPENED = opened("PIPELINING", "CHUNKING")
FIRST = f"{OPENED}{MAIL}{rcpt('zero')}{said('250 ok', '250 ok')}{bdat()}{SYNC}{said('250 taken', *HELLO)}"


def offered(name: str) -> str:
    return f"{RSET}{MAIL}{rcpt(name)}{bdat()}"


WINDOW = FIRST + offered("one") + offered("two") + offered("three") + SYNC
GOOD = ["250 reset", "250 ok", "250 ok", "250 taken"]
ENDED = f"{RSET}{OK}{BYE}"


async def bdats(script, network, *messages, window=4, **fields):
    return await played(script, network, messages or MESSAGES, Manner.BDAT, window=window, **fields)


async def troubles(script, network, **fields):
    """Of the three in the window: blame and whether it is doubt; and whether the session may be used again."""
    flow, reusable, _ = await bdats(script, network, **fields)
    assert flow.results[ZERO].outcomes[0].accepted
    assert flow.given_back == []
    found = [flow.results[one].outcomes[0] for one in (ONE, TWO, THREE)]
    return [(blame(outcome), outcome.in_doubt) for outcome in found], reusable


TAKEN = (None, False)


def doubt(cause, code=None):
    return ((Phase.CONTENT, cause, code), True)


def no(phase, code, cause=Cause.REPLY):
    return ((phase, cause, code), False)
