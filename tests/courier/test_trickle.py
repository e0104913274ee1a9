"""One message after the other: none waits for the courier's next look at an empty lane."""

from __future__ import annotations

import time


async def test_a_message_right_behind_another_leaves_at_once(office, sink):
    await office.connect(sink)
    took = []
    async with office.courier():
        for number in range(6):
            started = time.monotonic()
            await office.until(await office.post(f"r{number}@example.com"), "accepted")
            took.append(time.monotonic() - started)
    assert sorted(took)[3] < 0.5
    assert len(sink.accepted) == 6
