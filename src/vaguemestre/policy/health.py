"""A connection's health: what it may do now, and how it recovers.

READY may go anywhere. THROTTLED may become READY, LOCKED or PAUSED; LOCKED and PAUSED return only to READY.
A transition that is not allowed leaves the state as it is: a session that fails while a person pauses the
connection must not undo the pause, and one that still succeeds must not unlock it.

THROTTLED lasts what the reply names, else 1, 2, 4 .. 60 minutes, and no less than the reply implies. Past its
end it is half-open: one session may probe, whose success makes it READY and whose failure throttles it again,
longer. What other sessions report before its end is of the same outage, so it does not lengthen the steps.
Nothing fails here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from vaguemestre.mail.state import Health
from vaguemestre.policy.judgement import HealthChange, Judgement, Why
from vaguemestre.policy.verdict import BROKEN_RUNNING


@dataclass(frozen=True)
class Backoff:
    """The steps of THROTTLED where the reply names no time.

    Attributes:
        first: seconds of the first step; each next is twice as long.
        longest: seconds beyond which it does not grow.
    """

    first: float = 60.0
    longest: float = 3600.0

    def step(self, number: int) -> float:
        """Seconds of step `number`, the first being 0."""
        return float(min(self.first * 2 ** min(number, 32), self.longest))


ORDINARY = Backoff()


@dataclass(frozen=True)
class HealthState:
    """A connection's health at one moment.

    Attributes:
        state: READY, THROTTLED, LOCKED or PAUSED.
        why: a code: that of the judgement or finding, or who paused it.
        text: the server's words, made safe.
        until: the end of THROTTLED.
        step: throttles by backoff, one after the other.
        broken_running: broken dialogues, one after the other.
        since: when it stopped being READY, however its state changed since then; None while it is.
    """

    state: Health = Health.READY
    why: str = ""
    text: str = ""
    until: datetime | None = None
    step: int = 0
    broken_running: int = 0
    since: datetime | None = None

    @cached_property
    def ordinary(self) -> bool:
        """Whether there is nothing to recover from."""
        return self == READY


READY = HealthState()


def serves(state: HealthState, now: datetime) -> bool:
    """Whether a session may be opened: READY, or THROTTLED past its end."""
    return state.state is Health.READY or probing(state, now)


def probing(state: HealthState, now: datetime) -> bool:
    """Whether it is half-open: one session at a time, until it is known how that ends."""
    return state.state is Health.THROTTLED and (state.until is None or now >= state.until)


def learned(
    state: HealthState, judgement: Judgement, now: datetime, *, text: str = "", backoff: Backoff = ORDINARY
) -> HealthState:
    """The health after a judgement; `text` is what the server said.

    A `Case` is judged with `broken_running` one more than the state's, so that the row of broken dialogues
    and this count agree on the third.
    """
    if judgement.connection is HealthChange.LOCK:
        return locked(state, judgement.why.value, text, now=now)
    if judgement.connection is HealthChange.NOTE or judgement.why is Why.DIALOGUE_BROKEN:
        return noted(state, now, text=text, backoff=backoff)
    if judgement.connection is HealthChange.THROTTLE:
        return throttled(
            state,
            now,
            judgement.throttle_for,
            judgement.throttle_least,
            why=judgement.why.value,
            text=text,
            backoff=backoff,
        )
    return state


def throttled(  # noqa: PLR0913  a transition carries its reason
    state: HealthState,
    now: datetime,
    named: float | None = None,
    least: float = 0.0,
    *,
    why: str = "",
    text: str = "",
    backoff: Backoff = ORDINARY,
) -> HealthState:
    """THROTTLED for the seconds that a reply named, else for the next step of the backoff.

    Args:
        state: the health before.
        now: when.
        named: the seconds that a reply named.
        least: seconds below which an unnamed throttle does not end.
        why: a code, for people.
        text: the server's words, for people.
        backoff: the steps.
    """
    if state.state in {Health.LOCKED, Health.PAUSED}:
        return state
    running = state.state is Health.THROTTLED and not probing(state, now)
    own = 0.0 if running else backoff.step(state.step)
    until = now + timedelta(seconds=max(own, least) if named is None else named)
    if running and state.until is not None and until <= state.until:
        return state  # it waits long enough, for a reason that says why so long
    step = state.step if running or named is not None else state.step + 1
    since = state.since or now
    return replace(state, state=Health.THROTTLED, why=why, text=text, until=until, step=step, since=since)


def locked(state: HealthState, why: str, text: str = "", *, now: datetime | None = None) -> HealthState:
    """LOCKED until a verification succeeds or a new secret is given; a pause stays a pause."""
    if state.state in {Health.LOCKED, Health.PAUSED}:
        return state
    return HealthState(Health.LOCKED, why, text, since=state.since or now)


def paused(state: HealthState, by: str, *, now: datetime) -> HealthState:
    """PAUSED by a person; a lock stays a lock, which serves as little."""
    if state.state in {Health.LOCKED, Health.PAUSED}:
        return state
    return HealthState(Health.PAUSED, by, since=state.since or now)


def noted(state: HealthState, now: datetime, *, text: str = "", backoff: Backoff = ORDINARY) -> HealthState:
    """A dialogue broke: remembered, and THROTTLED at the third running."""
    if state.state in {Health.LOCKED, Health.PAUSED}:
        return state
    counted = replace(state, broken_running=state.broken_running + 1)
    if counted.broken_running < BROKEN_RUNNING:
        return counted
    return throttled(counted, now, why=Why.DIALOGUE_BROKEN.value, text=text, backoff=backoff)


def recovered(state: HealthState, now: datetime) -> HealthState:
    """The server accepted mail: READY again, unless it is locked, paused or still has time to wait.

    A session that was open before the throttle may still succeed; that does not end it early.
    """
    if state.state in {Health.LOCKED, Health.PAUSED}:
        return state
    if state.state is Health.THROTTLED and not probing(state, now):
        return replace(state, broken_running=0)
    return READY


def unlocked(state: HealthState) -> HealthState:
    """A verification succeeded or a new secret was saved: READY, unless a person paused it."""
    return state if state.state is Health.PAUSED else READY


def resumed(state: HealthState) -> HealthState:
    """A person ended the pause."""
    return READY if state.state is Health.PAUSED else state
