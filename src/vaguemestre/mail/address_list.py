"""The addresses in a header field or in a text that a person typed (RFC 5322 §3.4).

One strict parser: `name@example.org`, `Name <name@example.org>`, `"Name, Given" <…>`, several separated by
commas, groups (`undisclosed-recipients:;`), comments that are not nested. Source routes, missing commas,
unbalanced quotes, groups that are not closed and a name with `@`, where that or one of `[`, `]` and backslash
is outside quotes, are refused with the code `address_syntax`: parsers that repair such text disagree about
whom it names (CVE-2023-27043). So whoever else reads a text that is taken here finds the same address, or
none. Linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from itertools import groupby

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.header import readable
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox

_TOKEN = re.compile(
    r"""(?P<blank>[ \t]++)
      | (?P<quoted>"(?:[^"\\]|\\.)*+"(?:@[^\s"(),:;<>]++)?+)
      | (?P<comment>\((?:[^()\\]|\\.)*+\))
      | <(?P<angle>(?:"(?:[^"\\]|\\.)*+"|[^<>"])*+)>
      | (?P<atom>[^\s"(),:;<>]++)
      | (?P<mark>[,:;])
    """,
    re.VERBOSE | re.DOTALL,
)

_BLANK = frozenset({"blank", "comment"})
_SPECIAL = re.compile(r"[@\[\]\\]")
_ONE = 'Write one, like "Name" <name@example.org>.'
_PLAIN_NAMED = re.compile(r"([\w'.&+-]++(?: [\w'.&+-]++)*+) <([^<>\s\"]++)>")  # what most programs write


def parse_named(value: object, field: str) -> NamedMailbox:
    """One address as a person or a program gives it.

    Args:
        value: `"a@b.c"`, `"Name <a@b.c>"` or `{"email": "a@b.c", "name": "Name"}`.
        field: the input's name, for the refusal.

    Raises:
        Invalid: at `field`, `field.email` or `field.name`.
    """
    if isinstance(value, str):
        return _single(value, field)
    if not isinstance(value, Mapping):
        raise Invalid(field, "address_type", "An address is needed: text, or an object with email and name.")
    for key in value:
        if key not in {"email", "name"}:
            raise Invalid(f"{field}.{key}", "unknown_field", f"An address has no {key}: only email and name.")
    mailbox = Mailbox.parse(_text(value.get("email"), f"{field}.email"), f"{field}.email")
    return _named(mailbox, _text(value.get("name"), f"{field}.name"), f"{field}.name")


def parse_addresses(text: str, field: str, limit: int) -> tuple[NamedMailbox, ...]:
    """Every address of a header field's unfolded value, in order.

    Raises:
        Invalid: `address_syntax`, or `recipients_many` beyond `limit`.
    """
    found: list[NamedMailbox] = []
    for mailbox in _elements(text, field):
        if len(found) == limit:
            raise Invalid(field, "recipients_many", f"At most {limit} addresses are taken here.")
        found.append(mailbox)
    return tuple(found)


def parse_single(text: str, field: str, what: str = "This") -> NamedMailbox:
    """The only address of a text, such as the value of From: no list, and no group even of one.

    Args:
        text: unfolded.
        field: for the refusal.
        what: how a refusal calls the text.

    Raises:
        Invalid: `address_syntax`, `address_single` or `address_group`.
    """
    found: list[NamedMailbox] = []
    for mailbox in _elements(text, field, f"{what} holds a group of addresses: a : or ; outside quotes"):
        if found:
            raise Invalid(field, "address_single", f"{what} names more than one address. {_ONE}")
        found.append(mailbox)
    if not found:
        raise Invalid(field, "address_syntax", f"{what} holds no email address. {_ONE}")
    return found[0]


def _single(text: str, field: str) -> NamedMailbox:
    if "<" not in text and "," not in text:
        return NamedMailbox(Mailbox.parse(text, field))
    if (plain := _PLAIN_NAMED.fullmatch(text)) is not None:
        return _named(Mailbox.parse(plain[2], field), plain[1], field)
    return parse_single(text, field)


def _text(value: object, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid(field, "not_text", "Text is needed here.")
    return value


def _named(mailbox: Mailbox, name: str, field: str) -> NamedMailbox:
    try:
        return NamedMailbox(mailbox, name)
    except Invalid as refusal:
        raise refusal.at(field) from None


def _elements(text: str, field: str, no_group: str = "") -> Iterator[NamedMailbox]:
    """The elements between commas and of groups; `no_group` refuses these, in its words."""
    element, group = _Element(field), _Group.NONE
    for kind, piece in _tokens(text, field):
        if kind != "mark":
            if group is _Group.BEHIND and kind not in _BLANK:
                raise _syntax(field)
            element.take(kind, piece)
            continue
        if piece != "," and no_group:
            raise Invalid(field, "address_group", f"{no_group}. {_ONE}")
        group = _after(piece, group, field)
        if piece == ":":
            element.name_group()
        elif element.filled:
            yield element.mailbox()
        element = _Element(field)
    if group is _Group.WITHIN:
        raise _syntax(field)
    if element.filled:
        yield element.mailbox()


def _after(mark: str, group: _Group, field: str) -> _Group:
    """Where a mark leads (RFC 5322 §3.4): a group is in no group, and a comma follows it.

    Between addresses a semicolon is a comma: some programs separate recipients by it.
    """
    if mark == ",":
        return group if group is _Group.WITHIN else _Group.NONE
    if mark == ";" and group is _Group.NONE:
        return group
    if (mark == ":") is not (group is _Group.NONE) or group is _Group.BEHIND:
        raise _syntax(field)
    return _Group.WITHIN if mark == ":" else _Group.BEHIND


def _tokens(text: str, field: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _syntax(field)
        position = found.end()
        kind = str(found.lastgroup)
        yield kind, found[kind]


class _Group(Enum):
    """Whether a group is open, or has been closed just before."""

    NONE = auto()
    WITHIN = auto()
    BEHIND = auto()


class _Element:
    """What stands between two commas, gathered token by token."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.words: list[tuple[str, str]] = []
        self.angle: str | None = None

    @property
    def filled(self) -> bool:
        return bool(self.words) or self.angle is not None

    def take(self, kind: str, token: str) -> None:
        if kind == "comment":
            return
        if self.angle is not None and kind != "blank":
            raise _syntax(self.field)
        if kind == "angle":
            self.angle = token
        elif kind != "blank":
            self.words.append((kind, token))

    def name_group(self) -> None:
        """Make sure that this may stand before a group's colon: a phrase."""
        if self.angle is not None or not self.words or self._needs_quotes():
            raise _syntax(self.field)
        self._name()

    def mailbox(self) -> NamedMailbox:
        if self.angle is not None:
            address = self.angle.strip(" \t")
            if self._names_others() and not self._names_itself(address):
                message = 'A name with @ stands in quotes, like "Ann @ Shop" <name@example.org>.'
                raise Invalid(self.field, "address_syntax", message)
            return _named(Mailbox.parse(address, self.field), self._name(), self.field)
        if len(self.words) != 1:
            raise _syntax(self.field)
        return NamedMailbox(Mailbox.parse(self.words[0][1], self.field))

    def _needs_quotes(self) -> bool:
        """Whether a phrase has specials outside quotes (RFC 5322 §3.2.3)."""
        return any(kind == "atom" and _SPECIAL.search(token) for kind, token in self.words)

    def _names_itself(self, address: str) -> bool:
        """Whether the address is its own name, as `Ann@Example.org <ann@example.org>`."""
        return [(kind, token.casefold()) for kind, token in self.words] == [("atom", address.casefold())]

    def _names_others(self) -> bool:
        """Whether another parser may read an address where a name should be.

        `[Shop] Ann` is no phrase either, but common, and nobody can take it for an address.
        """
        if not self._needs_quotes():
            return False
        return "@" in self._name() or any("@" in readable(token.strip('"')) for _, token in self.words)

    def _name(self) -> str:
        if any(kind == "quoted" and not token.endswith('"') for kind, token in self.words):
            raise _syntax(self.field)
        # Encoded words count outside quotes only (RFC 2047 §5), and a blank between two of them is none.
        runs = groupby(self.words, key=lambda word: word[0] == "quoted")
        return " ".join(_spoken([token for _, token in run], quoted=quoted) for quoted, run in runs)


def _spoken(tokens: list[str], *, quoted: bool) -> str:
    return " ".join(map(_unquoted, tokens)) if quoted else readable(" ".join(tokens))


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)


def _syntax(field: str) -> Invalid:
    return Invalid(field, "address_syntax", "These are not addresses; write them like name@example.org.")
