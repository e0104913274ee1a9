"""A command line as verb and argument, taken apart once: submitters say the same few over and over.

Promises: what is known of a line is what `apart` says of it. Kept are short lines of MAIL, RCPT and DATA, and
not too many; never what AUTH says.
"""

from __future__ import annotations

from collections.abc import Callable

_KEPT = frozenset({b"MAIL", b"RCPT", b"DATA"})
_SHORT, _MOST = 128, 512  # octets of a line, and lines

type Said = tuple[bytes, bytes]  # the verb in upper case, and what follows it

_said: dict[bytes, Said] = {}
known: Callable[[bytes], Said | None] = _said.get  # of a line with its CRLF, where it was kept


def apart(line: bytes) -> Said:
    """Of a line without its CRLF."""
    verb, _, argument = line.rstrip(b" ").partition(b" ")
    return verb.upper(), argument


def sole(data: bytes, limit: int) -> Said | None:
    """The command that `data` is, from now on known; None where it is not one line of printable ASCII.

    Args:
        data: what came at once.
        limit: octets of a line.
    """
    if len(data) > limit or not data.endswith(b"\r\n"):
        return None
    line = data[:-2]
    if not (line.isascii() and line.decode().isprintable()):
        return None
    said = apart(line)
    if said[0] in _KEPT and len(data) <= _SHORT:
        if len(_said) >= _MOST:
            _said.clear()
        _said[data] = said
    return said
