"""A request's body as it arrives: whole, or not at all, and only where there is room for it.

Whoever sends a body says beforehand how long it is (RFC 9110 §8.6). A line that fails half way, or a sender
that gives up, ends it early, and what came until then may look like a body: a mail ends anywhere, and a form
has its fields still. So whoever reads finds all of it, or `BrokenOff`; or `Full`, before any of it was read
(`rooms`). Django answers both where no door of ours does (`fallback`). They are no OSError: Django would take
that for a body without fields.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Protocol

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig

from vaguemestre.doors.api.rooms import ARRIVING, LARGE, LARGE_ONES, SUBMITTERS, VISITORS

API = "/api/"


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
        path: the request's. Below `/api/` nobody reads a body before its key is known.
    """

    def __init__(self, source: Source, length: int, path: str) -> None:
        self._source, self._length = source, length
        self._room = SUBMITTERS if path.startswith(API) else VISITORS
        if length > LARGE and self._room is SUBMITTERS:
            self._room = ARRIVING
        self._inside = False
        self._came: BytesIO | None = None

    def read(self, size: int = -1, /) -> bytes:
        """As a file's.

        Raises:
            BrokenOff: the body is not whole; it is not at the next time either.
            Full: there is no room for it.
            RequestDataTooBig: it is longer than anything that is taken here.
        """
        return (self._came or self._whole()).read(size)

    def readline(self, size: int = -1, /) -> bytes:
        """As a file's, and as `read`."""
        return (self._came or self._whole()).readline(size)

    def leave(self) -> None:
        """Give the place back, where it has one still."""
        if self._inside:
            self._inside = False
            self._room.leave()

    def _whole(self) -> BytesIO:
        if self._length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig("The body is larger than anything that is taken here.")
        if not self._inside:
            self._room.enter()
            self._inside = True
        came = self._source.read(self._length)
        if self._length <= LARGE:  # what is large keeps a place while it is in hand
            self.leave()
        if len(came) < self._length:
            raise BrokenOff(f"The body broke off: {len(came)} of {self._length} bytes came.")
        if self._room is ARRIVING:
            self._take_in_hand()
        self._came = BytesIO(came)
        return self._came

    def _take_in_hand(self) -> None:
        """What is large takes several times its length from now on, and keeps a place until the answer."""
        LARGE_ONES.enter()
        ARRIVING.leave()  # kept until then: who waits has a thread
        self._room = LARGE_ONES


def arriving(environ: dict[str, Any]) -> Arrival | None:
    """The body of a request, put where its source was; None where none, or an empty one, is announced."""
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal() or not int(length):
        return None
    environ["wsgi.input"] = body = Arrival(environ["wsgi.input"], int(length), environ["PATH_INFO"])
    return body
