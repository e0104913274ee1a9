"""A task that begins now, and not with the next turn of the loop.

As far as its first wait it is a call. Whoever makes it has noted beforehand what it looks at, and finds it
over already where it waited for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def at_once(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """See the module."""
    return asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
