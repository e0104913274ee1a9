"""The octets of SMTP, without I/O: replies, commands, dots; for our client and for our listener.

Strict in what it takes and writes: lines end with CRLF and with nothing else (RFC 5321 §2.3.8), a reply has
one code in all of its lines (§4.2.1), content ends only at CRLF . CRLF (§4.1.1.4). Every line that leaves
is made by `line`, which refuses control characters in any argument, whatever checks came before it.

The readers take any splitting of their input, need time linear in it and memory bounded by their limits.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import cached_property

from vaguemestre.mail.line_ending import has_bare_line_ending
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.reply import Reply, printable

REPLY_LIMIT = 65_536  # octets of one reply; RFC 5321 §4.5.3.1.5 asks for 512 a line
COMMAND_LIMIT = 12_288  # octets of a line a submitter may write: RFC 4954 §4 needs that much for AUTH
BLOCK = 262_144  # octets of content that are handed over at once

_REPLY_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])([^\r\n]*))?\r")  # its LF was taken off
_REPLY_START = re.compile(rb"[2-5](?:\d(?:\d(?:[ -]|\r|$)|$)|$)")
_SHORT, _KNOWN = 128, 64  # octets of a line that is worth knowing again; how many, the first that came
REPLIES = 2_048  # that nobody took, and lines of one: a transaction has 1,000 recipients at most


class MalformedReply(Exception):
    """Bytes that are no reply; the dialogue cannot go on.

    Attributes:
        lines: how many lines of this reply were well-formed before the fault.
        start: the first octets at fault, for telling TLS from other protocols; never shown to people.
    """

    def __init__(self, reason: str, lines: int = 0, start: bytes = b"") -> None:
        super().__init__(reason)
        self.lines = lines
        self.start = start


@dataclass(frozen=True)
class RawReply:
    """A reply as it came: the code, and its lines without code and CRLF."""

    code: int
    lines: tuple[bytes, ...]

    @cached_property
    def reply(self) -> Reply:
        """The same, safe to store and to show."""
        return Reply(self.code, printable(b"\n".join(self.lines)))


class ReplyParser:
    """Octets in, replies out (RFC 5321 §4.2).

    Attributes:
        replies: the complete ones, in order; who reads one takes it away.
        partial: whether octets follow them that are no complete reply.
    """

    def __init__(self) -> None:
        self.replies: deque[RawReply] = deque()
        self.partial = False
        self._fault: MalformedReply | None = None
        self._open = bytearray()  # a line whose LF is still to come
        self._size = 0  # octets of the unfinished reply's lines
        self._code = b""
        self._lines: list[bytes] = []
        self._known: dict[bytes, RawReply] = {}  # a server says the same few lines over and over

    def feed(self, data: bytes) -> None:
        """More octets from the server. Behind what is no reply nothing is read."""
        *ended, rest = data.split(b"\n")
        if ended and self._open:
            ended[0] = bytes(self._open) + ended[0]
            self._open.clear()
        self._open += rest
        if self._fault is None:
            try:
                self._read(ended)
            except MalformedReply as fault:
                self._fault = fault.with_traceback(None)
        self.partial = bool(self._open or self._lines or self._fault)

    @property
    def pending(self) -> bool:
        """Whether octets were fed that belong to no reply that was taken."""
        return self.partial or bool(self.replies)

    def next_reply(self) -> RawReply | None:
        """The next complete reply, or None until more is fed.

        Raises:
            MalformedReply: what comes next is no reply. Replies before it were returned.
        """
        if self._fault is not None and not self.replies:
            raise self._fault
        return self.replies.popleft() if self.replies else None

    def _read(self, ended: list[bytes]) -> None:
        """The lines that were ended, without their LF, and the start of the open one."""
        for raw in ended:
            if len(self.replies) == REPLIES:
                raise self._malformed("more replies than commands", raw)
            if not self._lines and (known := self._known.get(raw)) is not None:
                self.replies.append(known)
            else:
                self._take(raw)
        if self._open:
            self._check_size(self._open)  # a server of another protocol may never end its line
            if _REPLY_START.match(self._open[:4]) is None:
                raise self._malformed("a line that is no line of a reply", self._open)

    def _take(self, raw: bytes) -> None:
        self._check_size(raw)
        found = _REPLY_LINE.fullmatch(raw)
        if found is None:
            raise self._malformed("a line that is no line of a reply", raw)
        code, _, text = found.groups()
        if self._lines and code != self._code:
            raise self._malformed("the code changes within a reply", raw)
        self._code, self._size = code, self._size + len(raw) + 1
        self._lines.append(text or b"")
        if raw[3:4] != b"-":
            self.replies.append(done := RawReply(int(code), tuple(self._lines)))
            self._lines, self._size = [], 0
            if len(done.lines) == 1 and len(raw) < _SHORT and len(self._known) < _KNOWN:
                self._known[raw] = done

    def _check_size(self, raw: bytes | bytearray) -> None:
        if self._size + len(raw) >= REPLY_LIMIT or len(self._lines) == REPLIES:
            raise self._malformed("a reply without end", raw)

    def _malformed(self, reason: str, start: bytes | bytearray) -> MalformedReply:
        return MalformedReply(reason, len(self._lines), bytes(start[:16]))


# Writing

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WORD = re.compile(r"[^\x00-\x20\x7f-\xa0]+")


def line(text: str) -> bytes:
    """The text and CRLF: the one function that every command and response passes.

    Raises:
        ValueError: a control character, or a lone surrogate, in the text.
    """
    if not text.isprintable() and _CONTROL.search(text):
        raise ValueError("a control character in a command")
    return text.encode("utf-8") + b"\r\n"


def command(verb: str, *arguments: str) -> bytes:
    """A command; each argument is one word.

    Raises:
        ValueError: an argument that is empty, or holds a blank or a control character.
    """
    if not all(_WORD.fullmatch(word) for word in (verb, *arguments)):
        raise ValueError("a blank or a control character in an argument of a command")
    return line(" ".join((verb, *arguments)))


def mail_from(
    mailbox: Mailbox | None, *, size: int | None = None, eight_bit: bool = False, smtputf8: bool = False
) -> bytes:
    """MAIL with its parameters (RFC 5321 §4.1.1.2, RFC 1870, RFC 6152, RFC 6531); None is the null path."""
    text = f"MAIL FROM:<{_path(mailbox)}>"
    if size is not None:
        text += f" SIZE={size}"
    if eight_bit:
        text += " BODY=8BITMIME"
    if smtputf8:
        text += " SMTPUTF8"
    return line(text)


def rcpt_to(mailbox: Mailbox) -> bytes:
    """RCPT (RFC 5321 §4.1.1.3)."""
    return line(f"RCPT TO:<{_path(mailbox)}>")


def _path(mailbox: Mailbox | None) -> str:
    # A mailbox was parsed strictly; only within quotes may it hold a blank or an angle bracket.
    if mailbox is None:
        return ""
    path = mailbox.wire
    if (" " in path or "\xa0" in path) and not path.startswith('"'):
        raise ValueError("a blank in a path")
    return path


def bdat(size: int, *, last: bool) -> bytes:
    """BDAT, in front of `size` octets of content (RFC 3030 §2)."""
    return line(f"BDAT {size:d} LAST" if last else f"BDAT {size:d}")


class BareLineEnding(ValueError):
    """A CR or LF that stands alone (RFC 5321 §2.3.8)."""


class LineEndings:
    """Content in blocks, looked through for a CR or LF that stands alone; a CRLF may span two blocks.

    Attributes:
        half: whether the last octet was a CR, whose LF is still to come.
    """

    def __init__(self) -> None:
        self.half = False

    def feed(self, block: bytes) -> None:
        """The next block.

        Raises:
            BareLineEnding: a CR or LF stands alone in it, or before it.
        """
        if not block:
            return
        half = block.endswith(b"\r")
        torn = self.half and not block.startswith(b"\n")
        if torn or has_bare_line_ending(block[self.half : len(block) - half]):
            raise BareLineEnding("a bare CR or LF in the content")
        self.half = half

    def end(self) -> None:
        """There is no more.

        Raises:
            BareLineEnding: the content ends with a bare CR.
        """
        if self.half:
            raise BareLineEnding("a bare CR or LF in the content")


class DotStuffer:
    """Content in blocks, as DATA wants it: a dot before each line that begins with one (RFC 5321 §4.5.2)."""

    def __init__(self) -> None:
        self._endings = LineEndings()
        self._fresh = True  # whether the next octet begins a line

    def feed(self, block: bytes) -> bytes:
        """The next block, stuffed. A CR at its end stays back until its LF is there: it might have none.

        Raises:
            BareLineEnding: a CR or LF stands alone: it never leaves.
        """
        if not block:
            return block
        kept = b"\r" if self._endings.half else b""
        self._endings.feed(block)
        block = (kept + block).removesuffix(b"\r")
        if not block:
            return block
        stuffed = block.replace(b"\r\n.", b"\r\n..")
        if self._fresh and block.startswith(b"."):
            stuffed = b"." + stuffed
        self._fresh = block.endswith(b"\r\n")
        return stuffed

    def end(self) -> bytes:
        """What makes the last line end: CRLF where it lacks it.

        Raises:
            BareLineEnding: the content ends with a bare CR.
        """
        self._endings.end()
        return b"" if self._fresh else b"\r\n"


def dot_stuffed(content: bytes) -> bytes:
    """A whole content without a bare CR or LF, as DATA wants it: what a `DotStuffer` makes of it."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")  # the same object where there is none
    if content.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if not content or content.endswith(b"\r\n") else stuffed + b"\r\n"


END_OF_DATA = b".\r\n"  # behind content that ends with CRLF, or that is empty


# Reading, for the listener


class LineTooLong(Exception):
    """A line beyond the limit. The reader is of no more use."""


class LineReader:
    """Octets in, lines out, each ended by CRLF.

    Attributes:
        buffer: what was fed and not taken yet.
    """

    def __init__(self, limit: int = COMMAND_LIMIT) -> None:
        self._limit = limit
        self.buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """More octets from the submitter."""
        self.buffer += data

    def next_line(self) -> bytes | None:
        """The next line without its CRLF, or None until more is fed.

        Raises:
            BareLineEnding: the line ends with LF alone, or holds a CR; it was consumed.
            LineTooLong: more than the limit, CRLF included.
        """
        end = self.buffer.find(b"\n", self._searched)
        length = len(self.buffer) if end < 0 else end + 1
        if length > self._limit:
            raise LineTooLong
        if end < 0:
            self._searched = length
            return None
        raw = bytes(self.buffer[:length])
        del self.buffer[:length]
        self._searched = 0
        if length < 2 or raw.find(b"\r") != length - 2:
            raise BareLineEnding
        return raw[:-2]

    def take(self, most: int) -> bytes:
        """Up to so many octets behind the last line, removed: content that BDAT has counted."""
        taken = bytes(self.buffer[:most])
        del self.buffer[:most]
        self._searched = 0
        return taken

    def take_rest(self) -> bytes:
        """What is buffered behind the last line, removed: the start of content, or clear text to discard."""
        if not self.buffer:
            return b""
        rest = bytes(self.buffer)
        self.buffer.clear()
        self._searched = 0
        return rest


class DataReader:
    """Octets in, content out: ends at CRLF . CRLF only, and undoes dot-stuffing (RFC 5321 §4.1.1.4, §4.5.2).

    Nothing is fed to one that has finished.

    Attributes:
        finished: whether the end was seen.
        rest: what followed it.
    """

    def __init__(self) -> None:
        self._kept = b"\r\n"  # may belong to the end: as if a line ended before the first
        self._invented = 2  # octets of it that nobody wrote
        self.finished = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """More octets; the content that is certain by now, its last CRLF included."""
        raw = self._kept + data
        dot = raw.find(b"\r\n.")  # in most contents that is the end already
        dotted = dot >= 0 and not raw.startswith(b"\r\n", dot + 3)
        end = raw.find(b"\r\n.\r\n", dot + 3) if dotted else dot
        if end >= 0:
            self.finished, self.rest = True, raw[end + 5 :]
            cut = end + 2
        else:
            cut = len(raw) - _start_of_end(raw)
        if cut == 0:
            self._kept = raw
            return b""
        start, self._invented = self._invented, 0
        self._kept = b"" if self.finished else raw[cut:]
        return raw[:cut].replace(b"\r\n.", b"\r\n")[start:] if dotted else raw[start:cut]


def _start_of_end(raw: bytes) -> int:
    """How many of the last octets may be the first of CRLF . CRLF."""
    if not raw.endswith((b"\r", b"\n", b".")):
        return 0
    return next((size for size in (4, 3, 2, 1) if raw.endswith(b"\r\n.\r"[:size])), 0)
