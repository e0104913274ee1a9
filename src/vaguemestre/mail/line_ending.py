"""Line endings of content: CRLF and nothing else (RFC 5321 §2.3.8).

A bare CR or LF lets one message pass for two where two programs disagree on what ends a line (smuggling), so
none is taken and none leaves. Every octet of a message is looked at on its way in and on its way out: what it
costs is a good part of a message's whole.
"""

from __future__ import annotations

_SMALL = 65_536  # octets


def has_bare_line_ending(content: bytes) -> bool:
    """Whether a CR or LF stands alone."""
    if len(content) > _SMALL:
        # Counting takes three times as long, and copies nothing.
        pairs = content.count(b"\r\n")
        return content.count(b"\r") != pairs or content.count(b"\n") != pairs
    # What replaces single octets finds them with the processor's own search.
    return content != content.replace(b"\r", b"").replace(b"\n", b"\r\n")
