"""A body in memory: what it knows of itself, how it is given out, what it refuses."""

from __future__ import annotations

import pytest

from vaguemestre.smtp.body import Held
from vaguemestre.smtp.wire import BLOCK, BareLineEnding

EIGHT_BIT = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nné\r\n".encode()


async def test_it_knows_what_a_server_must_take():
    body = Held(EIGHT_BIT)
    assert (body.size, body.ascii, body.short_lines) == (len(EIGHT_BIT), False, True)
    assert body.header == b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
    assert not Held(b"x" * 999).short_lines


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
async def test_its_blocks_are_its_content_and_may_be_asked_for_again(size):
    body = Held(b"x" * size)
    for _ in range(2):
        blocks = [block async for block in body.blocks()]
        assert b"".join(blocks) == body.content
        assert all(0 < len(block) <= BLOCK for block in blocks)


async def test_it_is_fitted_only_where_it_must_be():
    plain, body = Held(b"Subject: x\r\n\r\nbody\r\n"), Held(EIGHT_BIT)
    assert await plain.fitted(eight_bit=False, smtputf8=False) is plain
    assert await body.fitted(eight_bit=True, smtputf8=False) is body
    assert (await body.fitted(eight_bit=False, smtputf8=False)).ascii


@pytest.mark.parametrize("content", [b"a\nb", b"a\rb", b"\r", b"\n", b"a\r\r\n"])
def test_a_bare_line_ending_is_refused(content):
    with pytest.raises(BareLineEnding):
        Held(content)


def test_its_content_is_not_in_its_repr():
    assert repr(Held(b"secret\r\n")) == "<Held 8 bytes>"
