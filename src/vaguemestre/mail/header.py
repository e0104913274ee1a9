"""Header fields as bytes, and their text as people read it (RFC 5322 §2.2, RFC 2047, RFC 6532 §3.2).

Writing: values beyond ASCII become encoded words, lines are folded at blanks before column 78 and never
exceed 998 octets, and a word of ASCII stays whole, so that a long URL or message identifier survives. A local
part beyond ASCII is written as it is: only SMTPUTF8 carries it (RFC 6531). Reading: `readable` decodes what a
field holds. The standard library's header registry does neither here: it raises on some fields that mail
holds, takes seconds for a thousand recipients and encodes an address it should leave alone.

Both directions take time linear in the length, and are functions of their arguments alone.
"""

from __future__ import annotations

import base64
import codecs
import quopri
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import NamedMailbox, quoted_phrase

LINE_GOAL = 78  # characters of a line, RFC 5322 §2.1.1
WORD_LIMIT = 75  # characters of an encoded word, RFC 2047 §2
LONGEST_WORD = 900  # octets that may stay unfolded: a line has at most 998

_NAME = re.compile(r"[!-9;-~]+")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LITERAL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
_SINGLE = {character: character.encode() for character in _LITERAL} | {" ": b"_"}  # in Q one octet each
_SINGLE_OCTETS = "".join(_SINGLE).encode()
_FRAME = len("=?utf-8?q??=")  # around an encoded word's text
_BETWEEN_WORDS = re.compile(r"(?<=\?=)[ \t]+(?==\?)")
_OF_HOSTS = frozenset({"idna", "punycode"})  # no mail is written in them, and they take quadratic time
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\s]*)\?=")


def text_field(name: str, value: str) -> bytes:
    """A field of free text: Subject, a trace field, a submitter's own field.

    Raises:
        Invalid: `header_name` or `control_characters`.
    """
    if len(name) + 2 + len(value) <= LINE_GOAL and _is_name(name) and _is_simple(value):
        return f"{name}: {value}\r\n".encode()
    _checked(name, value)
    if _plain(value):
        return _folded(name, value.split(" "))
    return _folded(name, _encoded(value, len(name) + 2))


def mailboxes_field(name: str, mailboxes: Sequence[NamedMailbox]) -> bytes:
    """A field of addresses: From, To, Cc, Reply-To."""
    if len(mailboxes) == 1 and not mailboxes[0].name:
        return f"{name}: {mailboxes[0].mailbox.wire}\r\n".encode()
    words: list[str] = []
    for mailbox in mailboxes:
        words += _mailbox_words(mailbox, len(name) + 2)
        words[-1] += ","
    words[-1] = words[-1].removesuffix(",")
    return _folded(name, words)


def is_message_id(text: str) -> bool:
    """Whether it is one (RFC 5322 §3.6.4) that a line can hold."""
    return len(text) <= LONGEST_WORD and _MESSAGE_ID.fullmatch(text) is not None


def raw_value(field: bytes) -> str:
    """What stands behind the colon, unfolded and not yet decoded."""
    value = field.partition(b":")[2].strip(b" \t\r\n")
    if value.find(b"\r") >= 0:
        value = value.replace(b"\r\n", b"")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def readable(value: str) -> str:
    """A field's value with its encoded words decoded; what cannot be decoded stays as it is."""
    if "=?" not in value:
        return value
    return _ENCODED_WORD.sub(_decoded, _BETWEEN_WORDS.sub("", value))


def charset_named(name: str) -> str | None:
    """Python's name of a charset; None where it has none, or no text is written in it."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    is_text = getattr(found, "_is_text_encoding", True)
    return found.name if is_text and found.name not in _OF_HOSTS else None


def _decoded(found: re.Match[str]) -> str:
    charset = charset_named(found[1].partition("*")[0])
    if charset is None:
        return found[0]
    try:
        if found[2] in "bB":
            raw = base64.b64decode(found[3] + "=" * (-len(found[3]) % 4))
        else:
            raw = quopri.decodestring(found[3], header=True)
        return raw.decode(charset, "replace")
    # A codec may raise what it likes at foreign bytes.
    except (LookupError, ValueError, TypeError, AttributeError):
        return found[0]


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    """Whether it may stand before a colon; few are in use."""
    return _NAME.fullmatch(name) is not None


def _is_simple(value: str) -> bool:
    """Whether it is written as it is where it fits into one line: most values, so no pattern is tried."""
    return (
        value != ""
        and value.isascii()
        and value.isprintable()
        and value.strip() == value
        and "=?" not in value
    )


def _checked(name: str, value: str) -> None:
    if not _is_name(name):
        raise Invalid("headers", "header_name", f"{name!r} is not the name of a header field.")
    if _CONTROL.search(value):
        raise Invalid("headers", "control_characters", f"The header {name} holds a control character.")


def _plain(value: str) -> bool:
    """Whether a reader gets back exactly this text without any encoding."""
    return (
        value.isascii()
        and "=?" not in value
        and "\t" not in value
        and value == value.strip(" ")
        and max(map(len, value.split(" "))) <= LONGEST_WORD
    )


def _mailbox_words(mailbox: NamedMailbox, indent: int) -> Iterable[str]:
    address = mailbox.mailbox.wire
    if not mailbox.name:
        return [address]
    if not mailbox.name.isascii() or "=?" in mailbox.name:
        return [*_encoded(mailbox.name, indent), f"<{address}>"]
    if _PLAIN_PHRASE.fullmatch(mailbox.name):
        return [*mailbox.name.split(" "), f"<{address}>"]
    return [quoted_phrase(mailbox.name), f"<{address}>"]


def _folded(name: str, words: Iterable[str]) -> bytes:
    """The words, a blank between two, each line broken before the blank that would pass the goal."""
    lines = []
    line = f"{name}:"
    bare = True  # nothing but the name yet: a line of blanks only is no line (RFC 5322 §3.2.2)
    for word in words:
        if not bare and word and len(line) + 1 + len(word) > LINE_GOAL:
            lines.append(line)
            line = f" {word}"
        else:
            line += f" {word}"
        bare = bare and not word
    lines.append(line)
    return "\r\n".join(lines).encode() + b"\r\n"


def _encoded(text: str, indent: int) -> Iterator[str]:
    """Encoded words in UTF-8 (RFC 2047 §5), whole characters in each; the first leaves room for the name."""
    first, further = max(WORD_LIMIT - indent, 30) - _FRAME, WORD_LIMIT - _FRAME
    if _shorter_in_q(text.encode()):
        for word in _joined([_quoted(character) for character in text], first, further):
            yield f"=?utf-8?q?{word.decode()}?="
    else:
        # Base64 makes four characters of three octets.
        for word in _joined([character.encode() for character in text], first // 4 * 3, further // 4 * 3):
            yield f"=?utf-8?b?{base64.b64encode(word).decode()}?="


def _joined(pieces: Sequence[bytes], room: int, further: int) -> Iterator[bytes]:
    """The pieces in words of at most `room` octets, those behind the first in `further`."""
    whole = b"".join(pieces)
    if len(whole) <= room:
        yield whole
        return
    word = b""
    for piece in pieces:
        if word and len(word) + len(piece) > room:
            yield word
            word, room = b"", further
        word += piece
    yield word


def _shorter_in_q(octets: bytes) -> bool:
    tripled = len(octets.translate(None, _SINGLE_OCTETS))
    return len(octets) + 2 * tripled <= len(octets) * 4 / 3


def _quoted(character: str) -> bytes:
    return _SINGLE.get(character) or b"".join(b"=%02X" % octet for octet in character.encode())
