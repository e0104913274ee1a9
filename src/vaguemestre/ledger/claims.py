"""What a courier holds and what it reports: values without a database.

A `Claim` is what travels in one transaction. A `Mark` says that its end of data is about to go out, a
`Report` what an attempt did. `queue` takes and records them, many at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import DeliveryState, OnDoubt
from vaguemestre.mail.value import entity, value
from vaguemestre.policy.health import HealthState


class Stale(Exception):
    """What this courier believes is not so any more; it must let go."""


@value
class Duty:
    """One delivery in a courier's hands.

    Attributes:
        spent: seconds of delay that count towards `retry_age`.
        doubts: above 0, this is the retry of a delivery in doubt (L6).
        orphaned: couriers that died holding it, one after the other.
        notify: what whoever handed it over wants reported, as `Delivery.notify` keeps it.
    """

    id: int
    recipient: str
    counted: int
    spent: float
    retry_age: float
    doubts: int
    orphaned: int = 0
    notify: str = ""


@entity
class Claim:
    """Deliveries of one message that travel in one transaction.

    Attributes:
        attempt: the digits of its identifier, as both databases take them.
        route: as `Delivery.route` keeps it.
        size: bytes of the content as accepted.
        on_doubt: the message's, else its stream's.
        metered: whether it took tokens of its connection's limits (`allowance`).
    """

    attempt: str
    message_id: int
    route: dict[str, Any]
    size: int
    duties: tuple[Duty, ...]
    on_doubt: OnDoubt = OnDoubt.RETRY
    metered: bool = False

    @property
    def alone(self) -> bool:
        """Whether it shares no window: a broken one would put more than it in doubt, or it may break it."""
        held = self.on_doubt is OnDoubt.HOLD
        return held or bool([duty for duty in self.duties if duty.doubts or duty.orphaned > 1])

    def mark(self, recipients: Collection[str] | None = None) -> Mark:
        """What says that its end of data is about to go out.

        Args:
            recipients: those whom the server took at RCPT; the others cannot be in doubt. None means all.
        """
        attempt = self.attempt
        return [
            (duty.id, attempt) for duty in self.duties if recipients is None or duty.recipient in recipients
        ]


type Mark = list[tuple[int, str]]  # deliveries, each with the attempt that has it


@value
class Settlement:
    """What an attempt did to one delivery.

    Attributes:
        state: the delivery's next state.
        reply: the server's words, if any.
        trouble: what the message's page explains: {"phase", "cause", "row", "why", "facts"}.
        delay: seconds until the next try, for `queued`, and for `in_doubt` that is tried again.
        counted: whether `delay` counts towards expiry.
        doubt: why it is in doubt, for `in_doubt`.
    """

    delivery: int
    state: DeliveryState
    reply: Reply | None = None
    trouble: dict[str, Any] | None = None
    delay_until: datetime | None = None
    delay: float = 0.0
    counted: bool = False
    doubt: str = ""


@value
class Report:
    """An attempt, as it is kept.

    Attributes:
        steps: the transcript, as orjson takes it.
        health: the connection's health afterwards; None leaves it.
        offered: whether the server was asked to take it: then it counts against the connection's limits.

    Raises:
        ValueError: a delivery of the claim has no settlement: it would stay claimed.
    """

    claim: Claim
    started_at: datetime
    staged_at: datetime | None
    ended_at: datetime
    connection_version: int
    peer: str
    tls: str
    steps: Sequence[object]
    settlements: tuple[Settlement, ...]
    health: HealthState | None = None
    offered: bool = True

    def __post_init__(self) -> None:
        settled = [settlement.delivery for settlement in self.settlements]
        duties = [duty.id for duty in self.claim.duties]
        if settled != duties and sorted(settled) != sorted(duties):
            raise ValueError("an attempt settles each delivery of its claim")
