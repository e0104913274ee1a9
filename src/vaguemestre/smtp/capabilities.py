"""What a server announces in its reply to EHLO (RFC 5321 §4.1.1.1).

Bad lines are passed over: a keyword that is none, a SIZE that is no number. Keywords know no case,
`AUTH=LOGIN` of old servers is read as AUTH, and mechanisms of several AUTH lines add up.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import cached_property

from vaguemestre.mail.manner import Manner

_KEYWORD = re.compile(r"[A-Z0-9][A-Z0-9-]*")
_LITERAL = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]")


@dataclass(frozen=True)
class Capabilities:
    """The extensions of one session, as announced last.

    Attributes:
        size: octets of content the server takes (RFC 1870); None where it does not say, or says 0.
        auth: mechanisms in upper case, in the server's order.
        keywords: every keyword in upper case.
        greeting_name: the server's name for itself.
        seen_address: the address that the server sees us come from, where it tells.
    """

    size: int | None = None
    auth: tuple[str, ...] = ()
    keywords: frozenset[str] = frozenset()
    greeting_name: str = ""
    seen_address: str | None = None

    @cached_property
    def starttls(self) -> bool:
        """RFC 3207."""
        return "STARTTLS" in self.keywords

    @cached_property
    def pipelining(self) -> bool:
        """RFC 2920."""
        return "PIPELINING" in self.keywords

    @cached_property
    def chunking(self) -> bool:
        """RFC 3030."""
        return "CHUNKING" in self.keywords

    @cached_property
    def eight_bit(self) -> bool:
        """RFC 6152."""
        return "8BITMIME" in self.keywords

    @cached_property
    def smtputf8(self) -> bool:
        """RFC 6531."""
        return "SMTPUTF8" in self.keywords

    def manner(self, wanted: Manner) -> Manner:
        """The wanted manner, or the fastest below it for which enough is announced."""
        if not self.pipelining:
            return Manner.SINGLE
        return Manner.DATA if wanted is Manner.BDAT and not self.chunking else wanted

    @classmethod
    def parse(cls, lines: tuple[bytes, ...]) -> Capabilities:
        """Of the lines of a 250 to EHLO, without their codes."""
        greeting, *rest = [raw.decode("utf-8", "replace") for raw in lines]
        announced = [_announced(text) for text in rest]
        keywords = frozenset(word for word, _ in announced if word)
        return cls(
            size=_size(announced) if "SIZE" in keywords else None,
            auth=_mechanisms(announced),
            keywords=keywords,
            greeting_name=_name(greeting),
            seen_address=_seen(greeting),
        )


def _announced(text: str) -> tuple[str, tuple[str, ...]]:
    word, *parameters = text.upper().split() or [""]
    if word.startswith("AUTH="):
        word, parameters = "AUTH", [word.removeprefix("AUTH="), *parameters]
    return (word, tuple(parameters)) if _KEYWORD.fullmatch(word) else ("", ())


def _size(announced: list[tuple[str, tuple[str, ...]]]) -> int | None:
    """The smallest of what is announced; RFC 1870 §4: 0 is no limit."""
    numbers = [
        int(parameters[0])
        for word, parameters in announced
        if word == "SIZE" and parameters and re.fullmatch(r"[0-9]{1,20}", parameters[0])
    ]
    return min((number for number in numbers if number), default=None)


def _mechanisms(announced: list[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    names = [name for word, parameters in announced if word == "AUTH" for name in parameters]
    return tuple(dict.fromkeys(name for name in names if re.fullmatch(r"[A-Z0-9_-]{1,20}", name)))


def _name(greeting: str) -> str:
    first = greeting.split(maxsplit=1)[0] if greeting.strip() else ""
    return first if re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,255}", first) else ""


def _seen(greeting: str) -> str | None:
    """The address literal behind the server's own name."""
    for found in _LITERAL.finditer(greeting, len(_name(greeting))):
        try:
            return str(ipaddress.ip_address(found[1]))
        except ValueError:
            continue
    return None
