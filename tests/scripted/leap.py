"""A loop whose time leaps: where nothing is left to do but to wait for a timer, it is that time at once.

What a test on it says about seconds is exact, and holds on a machine however busy. Nothing of it may wait for
another thread or a socket while a timer runs: no time passes for those.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class LeapingLoop(asyncio.SelectorEventLoop):
    """See the module. It begins at a time that is not 0, as others do."""

    def __init__(self):
        self.passed = 1_000.0  # seconds; asked for while the loop is made
        super().__init__(_Leaping(self))

    def time(self):
        return self.passed


class _Leaping(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout is None:
            return super().select()
        self._loop.passed += timeout
        return super().select(0)


def in_leaps(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Have a test run on such a loop."""

    @functools.wraps(test)
    def run(*args, **fixtures):
        asyncio.run(test(*args, **fixtures), loop_factory=LeapingLoop)

    return run
