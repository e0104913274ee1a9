"""A task that begins now, and not with the next turn of the loop.

As far as its first wait it is a call, and it may be over when it is returned. So whatever it looks at has to
be noted before it is made, and whoever keeps it afterwards asks first whether it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def at_once(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """See the module."""
    return asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
