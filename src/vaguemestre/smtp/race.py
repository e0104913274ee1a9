"""Several addresses of one server, tried one behind the other and not one after the other (RFC 8305 §5).

The next address is dialled when the one before failed, or said nothing for `STAGGER`; the first that answers
wins. So an address family that is dead costs a quarter of a second, and not its share of the time to connect.
What was begun and did not win is closed before anything is written to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from vaguemestre.smtp.link import Link

STAGGER = 0.25  # seconds, RFC 8305 §8

type Dial = Callable[[], Awaitable[Link]]


async def first_link(dials: Sequence[Dial], stagger: float = STAGGER) -> Link:
    """The link of the first that answers.

    Raises:
        ExceptionGroup: none did; their errors in the order in which they failed.
    """
    waiting = list(dials)
    begun: list[asyncio.Task[Link]] = []
    errors: list[Exception] = []
    winner: asyncio.Task[Link] | None = None
    try:
        while waiting or begun:
            if waiting:
                begun.append(asyncio.ensure_future(_link(waiting.pop(0))))
            done = await _next(begun, stagger if waiting else None)
            winner = next((task for task in done if task.exception() is None), None)
            if winner is not None:
                return winner.result()
            errors += [error for task in done if isinstance(error := task.exception(), Exception)]
            begun = [task for task in begun if task not in done]
        raise ExceptionGroup("no address answered", errors)
    finally:
        for task in begun:
            if task is not winner:
                task.cancel()
                task.add_done_callback(_close)


async def _link(dial: Dial) -> Link:
    return await dial()


async def _next(begun: Sequence[asyncio.Task[Link]], within: float | None) -> set[asyncio.Task[Link]]:
    done, _ = await asyncio.wait(begun, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    return done


def _close(task: asyncio.Task[Link]) -> None:
    """It lost; perhaps it had a link already."""
    if not task.cancelled() and task.exception() is None:
        task.result().abort()
