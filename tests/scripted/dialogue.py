r"""A dialogue as text: what a server says, what it wants to hear, and what else happens.

One step a line; blank lines and lines that begin with `#` are skipped; `----` begins the next connection.

    S: 220 mx.example.org ESMTP      write the line and CRLF; \r \n \0 \xNN \\ are escapes
    S- 220 mx\r\n250-evil            write exactly this, no CRLF added
    C: EHLO client.example.org       the client must write exactly this line
    C~ MAIL FROM:<.*> SIZE=\d+       the client's line must match the expression as a whole
    @content                         read up to the final dot; kept, unstuffed, in `server.contents`
    @read 1000                       read that many bytes
    @tls                             become the TLS server (STARTTLS, or implicit as the first step)
    @tls expired                     the same with another of the server's named certificates
    @alert                           write a fatal TLS alert
    @drop  /  @rst                   close with FIN / with RST
    @close                           the client must close now; `@close any` forgives what it still writes
    @delay 0.5                       wait
    @quiet 0.2                       wait; the client must write nothing meanwhile
    @drip 0.01                       from here on write byte by byte with that pause
    @endless 250-more                write the line again and again until the client leaves
    @silence                         say nothing until the client leaves, whatever it writes
    @stall 1.0                       do not read for that long
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Act(Enum):
    """What a step does; the values are the words of the script."""

    SAY = "S:"
    SAY_RAW = "S-"
    HEAR = "C:"
    HEAR_LIKE = "C~"
    CONTENT = "@content"
    READ = "@read"
    TLS = "@tls"
    ALERT = "@alert"
    DROP = "@drop"
    RESET = "@rst"
    CLOSE = "@close"
    DELAY = "@delay"
    QUIET = "@quiet"
    DRIP = "@drip"
    ENDLESS = "@endless"
    SILENCE = "@silence"
    STALL = "@stall"


@dataclass(frozen=True)
class Line:
    """One step of a script."""

    act: Act
    text: str = ""

    def __str__(self) -> str:
        return f"{self.act.value} {self.text}".rstrip()


def parse(script: str) -> list[list[Line]]:
    """The dialogues, one for each connection."""
    parts: list[list[Line]] = [[]]
    for raw in script.splitlines():
        line = raw.strip()
        if line.startswith("----"):
            parts.append([])
        elif line and not line.startswith("#"):
            parts[-1].append(_line(line))
    return parts


def _line(line: str) -> Line:
    word, _, text = line.partition(" ")
    try:
        return Line(Act(word), text)
    except ValueError:
        raise ValueError(f"no step of a dialogue: {line!r}") from None


_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))")
_NAMED = {"r": b"\r", "n": b"\n", "0": b"\0", "t": b"\t", "\\": b"\\", "e": b"\x1b"}


def octets(text: str) -> bytes:
    """The bytes that a script's text stands for."""
    out, position = b"", 0
    for found in _ESCAPE.finditer(text):
        out += text[position : found.start()].encode()
        out += bytes([int(found[1], 16)]) if found[1] else _NAMED[found[2]]
        position = found.end()
    return out + text[position:].encode()
