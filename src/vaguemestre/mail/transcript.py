"""The recorded steps of a session, for people: what we did, what the server said, how long it took.

Secrets never enter a transcript: a step of authentication records the mechanism's name and not its
response. A transcript is data (JSON in the ledger and the API), not a log.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

import orjson

from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.value import value


@value
class Step:
    """One exchange.

    Attributes:
        phase: where in the session.
        sent: what we wrote or did, shortened (`MAIL FROM:<a@example.org>`, `AUTH PLAIN ***`); "" for the
            greeting.
        reply: the server's answer, if one came.
        error: the cause, if it failed.
        elapsed: seconds.
        detail: facts such as the peer's address or the TLS version.
        told: `as_json`, where that is kept (`keep`).
    """

    phase: Phase
    sent: str
    reply: Reply | None = None
    error: Cause | None = None
    elapsed: float = 0.0
    detail: str = ""
    told: orjson.Fragment | None = field(init=False, repr=False, compare=False, default=None)

    def as_json(self) -> dict[str, Any]:
        """The step as the API shows it (`interface.md`: steps)."""
        return {
            "phase": self.phase._value_,  # `value` is worked out at each asking, and there are many steps
            "sent": self.sent,
            "reply": None if self.reply is None else self.reply.as_json,
            "error": None if self.error is None else self.error._value_,
            # Mostly it came with the reply before. `round` takes five times as long.
            "elapsed_ms": int(self.elapsed * 10_000 + 0.5) / 10 if self.elapsed else 0.0,
            "detail": self.detail,
        }

    def keep(self) -> None:
        """Have its JSON made once: many transcripts hold this very step."""
        if self.told is None:
            self.told = orjson.Fragment(orjson.dumps(self.as_json()))  # type: ignore[misc]  # once


type Transcript = tuple[Step, ...]
