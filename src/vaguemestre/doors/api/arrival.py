"""A request's body as it arrives: whole, or not at all.

Whoever sends a body says beforehand how long it is (RFC 9110 §8.6). A line that fails half way, or a sender
that gives up, ends it early, and what came until then may look like a body: a mail ends anywhere, and a form
has its fields still. So whoever reads finds all of it or `BrokenOff`, which Django answers with 400 where
no door of ours does. It is no OSError: Django would take that for a body without fields.
"""

from __future__ import annotations

from functools import cached_property
from io import BytesIO
from typing import Protocol

from django.core.exceptions import BadRequest


class BrokenOff(BadRequest):
    """A body that ended before its announced length."""


class Source(Protocol):
    """What a server reads a body from."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, or fewer at its end."""


class Arrival:
    """`wsgi.input` of PEP 3333; it is waited for when the first of it is asked for.

    Args:
        source: the server's.
        length: Content-Length.
    """

    def __init__(self, source: Source, length: int) -> None:
        self._source, self._length = source, length

    def read(self, size: int = -1, /) -> bytes:
        """As a file's.

        Raises:
            BrokenOff: the body is not whole; it is not at the next time either.
        """
        return self._whole.read(size)

    def readline(self, size: int = -1, /) -> bytes:
        """As a file's, and as `read`."""
        return self._whole.readline(size)

    @cached_property
    def _whole(self) -> BytesIO:
        came = self._source.read(self._length)
        if len(came) < self._length:
            raise BrokenOff(f"The body broke off: {len(came)} of {self._length} bytes came.")
        return BytesIO(came)
