"""The arguments of MAIL and RCPT: a path and its parameters (RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.2).

Parameters of SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 §5) and DSN (RFC 3461)
are read; any other is refused. An address is what `Mailbox` takes, or the command is refused: a path is never
repaired, so that the address that is answered 250 is the one that was written. A source route is refused too,
which RFC 5321 §3.3 lets a server do that does not relay by routes. Spaces before a path are passed over: they
are common among printers and change nothing.

Fails by raising `Refused` with the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from vaguemestre.doors.submission.answers import TOO_LARGE, Answer, answer
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox

# Quotes first: a quoted local part may hold spaces and angle brackets.
_PATH = re.compile(r'([A-Za-z]+:) *<((?:"(?:[^"\\]|\\.)*"|[^"<> ])*)>(?: +(.*))?')
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?")
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*"
_AUTH = re.compile(rf"<>|{_XTEXT}")
_ENVID = re.compile(rf"(?=.{{1,100}}$){_XTEXT}")
# Beyond ASCII only of the type utf-8: RFC 6533 §3.
_ORCPT = re.compile(rf"(?=.{{1,500}}$)(?:(?i:utf-8);[^\x00-\x20=\x7f]+|[A-Za-z0-9-]+;{_XTEXT})")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]{1,20}")

PARAMETER_UNKNOWN = answer(555, "5.5.4", "A parameter of the command is not known here")
PARAMETER_TWICE = answer(501, "5.5.4", "A parameter is given twice")
PARAMETER_SYNTAX = answer(501, "5.5.4", "A parameter of the command is malformed")
NO_CHARSET = answer(501, "5.5.2", "The command is neither ASCII nor UTF-8")
NEEDS_SMTPUTF8 = answer(553, "5.6.7", "An address beyond ASCII needs the parameter SMTPUTF8 on MAIL")


class Refused(Exception):
    """A command that is answered with a refusal, and changes nothing."""

    def __init__(self, reply: Answer) -> None:
        super().__init__(str(reply))
        self.answer = reply


@dataclass(frozen=True)
class Mail:
    """A MAIL command.

    Attributes:
        reverse_path: None is `<>`.
        size: declared, in bytes; 0 if it was not.
        utf8: whether addresses and header fields may be beyond ASCII.
        ret: `FULL`, `HDRS` or "" (RFC 3461 §4.3).
        envid: still in xtext (RFC 3461 §4.4).
    """

    reverse_path: Mailbox | None
    size: int = 0
    utf8: bool = False
    ret: str = ""
    envid: str = ""


@dataclass(frozen=True)
class Rcpt:
    """A RCPT command; `notify` and `orcpt` as they were given (RFC 3461 §4.1, §4.2)."""

    recipient: Mailbox
    notify: str = ""
    orcpt: str = ""


@lru_cache(maxsize=512)  # a submitter says the same few over and over
def parse_mail(argument: bytes, largest: int) -> Mail:
    """The MAIL command with this argument; `largest` is the SIZE that is offered, in bytes.

    Raises:
        Refused: with the answer to give.
    """
    path, parameters = _split("FROM:", argument, _MAIL_VALUES)
    utf8 = "SMTPUTF8" in parameters
    reverse_path = _mailbox(path, "5.1.7", utf8=utf8) if path else None
    size = int(parameters.get("SIZE") or 0)
    if size > largest:
        raise Refused(TOO_LARGE)
    return Mail(
        reverse_path,
        size,
        utf8=utf8,
        ret=(parameters.get("RET") or "").upper(),
        envid=parameters.get("ENVID") or "",
    )


@lru_cache(maxsize=512)
def parse_rcpt(argument: bytes, *, utf8: bool) -> Rcpt:
    """The RCPT command with this argument; `utf8` is whether its MAIL had SMTPUTF8.

    Raises:
        Refused: with the answer to give.
    """
    path, parameters = _split("TO:", argument, _RCPT_VALUES)
    recipient, orcpt = _mailbox(path, "5.1.3", utf8=utf8), parameters.get("ORCPT") or ""
    if not (utf8 or orcpt.isascii()):
        raise Refused(NEEDS_SMTPUTF8)
    return Rcpt(recipient, (parameters.get("NOTIFY") or "").upper(), orcpt)


def _split(keyword: str, argument: bytes, values: _Values) -> tuple[str, dict[str, str | None]]:
    try:
        text = argument.decode()
    except UnicodeDecodeError:
        raise Refused(NO_CHARSET) from None
    found = _PATH.fullmatch(text)
    if found is None or found[1].upper() != keyword:
        syntax = f"Write {keyword}<name@example.org>, and parameters behind a space"
        raise Refused(answer(501, "5.5.2", syntax))
    return found[2], _parameters(found[3].split(), values) if found[3] else {}


def _parameters(words: list[str], values: _Values) -> dict[str, str | None]:
    parameters: dict[str, str | None] = {}
    for word in words:
        found = _PARAMETER.fullmatch(word)
        if found is None:
            raise Refused(PARAMETER_SYNTAX)
        name, value = found[1].upper(), found[2]
        if name not in values:
            raise Refused(PARAMETER_UNKNOWN)
        if name in parameters:
            raise Refused(PARAMETER_TWICE)
        if not values[name](value):
            raise Refused(PARAMETER_SYNTAX)
        parameters[name] = value
    return parameters


def _mailbox(path: str, enhanced: str, *, utf8: bool) -> Mailbox:
    if not (utf8 or path.isascii()):
        raise Refused(NEEDS_SMTPUTF8)
    if path.startswith("@"):
        raise Refused(answer(553, enhanced, "Source routes are not taken; give the address alone"))
    try:
        return Mailbox.parse(path)
    except Invalid as fault:
        raise Refused(answer(553, enhanced, fault.message)) from None


type _Values = Mapping[str, Callable[[str | None], bool]]


def _matching(pattern: re.Pattern[str]) -> Callable[[str | None], bool]:
    return lambda value: value is not None and pattern.fullmatch(value) is not None


def _one_of(*words: str) -> Callable[[str | None], bool]:
    return lambda value: value is not None and value.upper() in words


def _absent(value: str | None) -> bool:
    return value is None


_MAIL_VALUES: _Values = {
    "SIZE": _matching(_SIZE),
    "BODY": _one_of("7BIT", "8BITMIME"),
    "SMTPUTF8": _absent,
    "AUTH": _matching(_AUTH),
    "RET": _one_of("FULL", "HDRS"),
    "ENVID": _matching(_ENVID),
}
_RCPT_VALUES: _Values = {"NOTIFY": _matching(_NOTIFY), "ORCPT": _matching(_ORCPT)}
