"""A content on its way in, by DATA or BDAT: what is in memory, what is to be stored, what is wrong with it.

Up to one chunk stays in memory and is judged as a whole. What is larger leaves for the ledger chunk by chunk,
as a parcel, and is judged on the way: its size, its line endings (a CRLF may lie in two chunks), its header
section, which alone stays in memory. A content that can become no message any more is read to its end, where
its answer is due, and nothing of it is kept.

Fails by having a fault.
"""

from __future__ import annotations

import hashlib
import re

from vaguemestre.doors.submission import answers
from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.ledger.accept import CHUNK
from vaguemestre.ledger.parcels import Parcel, Piece
from vaguemestre.mail.content import HEADER_LIMIT, Content, header_end
from vaguemestre.mail.errors import Invalid
from vaguemestre.smtp.wire import BareLineEnding, DataReader, LineEndings

_CHUNK = re.compile(rb"(\d{1,20})(?: +(LAST))?", re.IGNORECASE)


def parse_chunk(argument: bytes) -> tuple[int, bool] | None:
    """Octets of a chunk and whether it is the last, as BDAT says (RFC 3030 §2); None if it does not."""
    found = _CHUNK.fullmatch(argument)
    return found and (int(found[1]), found[2] is not None)


class Receiving:
    """One content.

    Attributes:
        limits: what it is held to.
        begun: whether DATA or BDAT was said.
        left: octets of a chunk that are still to come.
        last: whether the content ends where the chunk does.
        rest: what followed the end of data.
        size: bytes that came, dots undone.
        held: bytes in memory.
        parcel: where its pieces are; None until one is.
        fault: what to answer at its end; None while it may become a message.
    """

    def __init__(self, limits: Limits) -> None:
        self.begun = False
        self.left = 0
        self.last = True
        self.rest = b""
        self.size = self.held = 0
        self.parcel: int | None = None
        self.fault: Answer | None = None
        self._data: DataReader | None = None
        self.limits = limits
        self._buffer: bytes | bytearray = b""  # what came at once is not copied
        self._leaving = 0  # bytes of the piece that is being stored
        self._passed: _Passed | None = None  # where the content is larger than a chunk

    @property
    def ended(self) -> bool:
        """Whether the end of data, or of the chunk, was reached."""
        return self.left == 0 if self._data is None else self._data.finished

    @property
    def complete(self) -> bool:
        """Whether nothing more comes."""
        return self.ended and self.last

    def begin_data(self) -> None:
        """What comes ends with CRLF . CRLF."""
        self.begun, self._data = True, DataReader()

    def begin_chunk(self, size: int, obstacle: Answer | None, *, last: bool) -> None:
        """So many octets come; `obstacle` is what forbids them."""
        self.begun, self.left, self.last, self.fault = True, size, last, obstacle

    def feed(self, octets: bytes) -> None:
        """What comes next: of a chunk no more than is left of it."""
        if self._data is None:
            block = octets
            self.left -= len(octets)
        else:
            block = self._data.feed(octets)
            self.rest = self._data.rest
        self.size += len(block)
        if self.fault is not None:
            return
        if self.size > self.limits.message:
            self.give_up(answers.TOO_LARGE)
            return
        if not self._buffer:
            self._buffer = block
        elif type(self._buffer) is bytes:
            self._buffer = bytearray(self._buffer) + block
        else:
            self._buffer += block
        self.held += len(block)

    def piece(self) -> Piece | None:
        """What is to be stored before more is taken in, if anything."""
        tail = self._passed is not None and self._buffer and self.complete
        if self.fault is not None or not (tail or len(self._buffer) > CHUNK):
            return None
        chunk = bytes(self._buffer[:CHUNK])
        self._buffer = self._buffer[CHUNK:]
        passed = self._passed = self._passed or _Passed()
        self._look_through(passed, chunk)
        if self.fault is not None:
            return None
        self._leaving = len(chunk)
        self._weigh()
        return Piece(chunk, passed.pieces - 1, self.parcel)

    def stored(self, outcome: int | Answer) -> None:
        """The piece is in that parcel; or why it is not."""
        self._leaving = 0
        if isinstance(outcome, Answer):
            self.give_up(outcome)
        else:
            self.parcel = outcome
            self._weigh()

    def give_up(self, reply: Answer) -> None:
        """It becomes no message; `reply` is the answer to its end."""
        self.fault = reply
        self._buffer = b""
        if self._passed is not None:
            self._passed.head.clear()
        self._weigh()

    def take_rest(self) -> bytes:
        """What followed the end of data, once."""
        rest, self.rest = self.rest, b""
        return rest

    def take_parcel(self) -> int | None:
        """The parcel, for somebody else to look after."""
        parcel, self.parcel = self.parcel, None
        return parcel

    def whole(self) -> tuple[Content, Parcel | None]:
        """The content; of one in pieces its header section, and the parcel.

        Raises:
            Invalid: it is no message.
        """
        if self._passed is None or self.parcel is None:
            return Content(bytes(self._buffer)), None
        return self._passed.header(), Parcel(self.parcel, self.size, self._passed.digest.hexdigest())

    def _weigh(self) -> None:
        head = 0 if self._passed is None else len(self._passed.head)
        self.held = len(self._buffer) + head + self._leaving

    def _look_through(self, passed: _Passed, chunk: bytes) -> None:
        try:
            passed.add(chunk)
        except BareLineEnding:
            self.give_up(answers.BARE_LINE_ENDING)
        except Invalid as fault:
            self.give_up(answers.refusal(fault))

    def __repr__(self) -> str:
        return f"<Receiving {self.size} bytes>"


class _Passed:
    """What is remembered of a content whose pieces leave.

    Attributes:
        pieces: how many left.
        head: the beginning of the content, until its header section is whole.
        digest: of what has left.
    """

    def __init__(self) -> None:
        self.pieces = 0
        self.head = bytearray()
        self.digest = hashlib.sha256()
        self._endings = LineEndings()
        self._header: Content | None = None

    def add(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            BareLineEnding, Invalid: it is no part of a message.
        """
        self.pieces += 1
        self._endings.feed(piece)
        self.digest.update(piece)
        if self._header is None:
            self._read_header(piece)

    def header(self) -> Content:
        """The header section, once all pieces have left.

        Raises:
            Invalid: the content is no message.
        """
        if self._endings.half:
            raise Invalid("content", "bare_line_ending", "The content ends with a bare CR.")
        return self._header or Content(bytes(self.head))

    def _read_header(self, piece: bytes) -> None:
        self.head += piece
        end = header_end(self.head)
        if end is None and len(self.head) <= HEADER_LIMIT:
            return
        if end is None:
            raise Invalid("content", "header_size", f"The header section exceeds {HEADER_LIMIT} bytes.")
        self._header = Content(bytes(self.head[:end]))
        self.head.clear()
