"""A `.env` file: Laravel's `MAIL_*`, `SMTP_*`, `EMAIL_*`, `MAILER_DSN`, and what else means the same.

`NAME=value` lines with or without `export`; quotes, comments and `${NAME}` as dotenv libraries read them.
Variables that are not about mail are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vaguemestre.providers.imports.gathering import Gathering
from vaguemestre.providers.imports.reading import Kind, Reading, Why
from vaguemestre.providers.imports.url import gather_url

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:](.*)")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\s*#.*)?')
_SINGLE = re.compile(r"'([^']*)'(?:\s*#.*)?")
_ESCAPE = re.compile(r"\\(.)")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_PREFIX = re.compile(r"(?:[A-Z]+_)??(MAILER|MAIL|SMTP|EMAIL)_(?:SMTP_)?(?=[A-Z])")
_URLS = frozenset({"MAILER_DSN", "MAILER_URL", "MAIL_URL", "EMAIL_URL", "SMTP_URL", "SMTP_DSN", "MAIL_DSN"})
_WHOLE = {"DEFAULT_FROM_EMAIL": "from", "SERVER_EMAIL": "", "SMTP_ADDRESS": "host", "SMTP_DOMAIN": ""}
_FIELDS = {
    "host": ("HOST", "SERVER", "HOSTNAME", "SERVER_HOST"),
    "port": ("PORT", "SERVER_PORT"),
    "login": ("USERNAME", "USER", "LOGIN", "HOST_USER", "USER_NAME", "AUTH_USER"),
    "password": ("PASSWORD", "PASS", "PASSWD", "HOST_PASSWORD", "AUTH_PASS", "AUTH_PASSWORD", "SECRET"),
    "encryption": ("ENCRYPTION", "SCHEME", "SECURE", "SECURITY", "PROTOCOL"),
    "ssl": ("USE_SSL", "SSL", "SSL_ENABLED"),
    "starttls": ("USE_TLS", "TLS", "STARTTLS", "USE_STARTTLS", "REQUIRE_TLS", "ENABLE_STARTTLS_AUTO"),
    "from": ("FROM", "FROM_ADDRESS", "FROM_EMAIL", "SENDER", "SENDER_EMAIL", "DEFAULT_FROM"),
    "sender_name": ("FROM_NAME", "SENDER_NAME"),
    "reply_to": ("REPLY_TO", "REPLYTO", "REPLY_TO_ADDRESS"),
    "": (
        "EHLO_DOMAIN",
        "TIMEOUT",
        "BACKEND",
        "AUTH",
        "AUTH_MODE",
        "AUTHENTICATION",
        "LOG_CHANNEL",
        "SUBJECT_PREFIX",
    ),
}
_LONGEST = 2_048  # characters that references bring: a few that double each other would eat all memory
_BY_SUFFIX = {suffix: field for field, suffixes in _FIELDS.items() for suffix in suffixes}
_MAILERS = frozenset({"MAIL_MAILER", "MAIL_DRIVER", "MAIL_TRANSPORT"})


def read_env(text: str) -> Reading:
    """The connection that a `.env` describes."""
    gathering = Gathering()
    known: dict[str, str] = {}
    for number, name, value in _pairs(text):
        resolved = _resolved(value, known) if value is not None else None
        if resolved is not None:
            known[name] = resolved
        if field_of(name) is None:
            continue
        if resolved is None:
            gathering.miss(number, name, Why.ELSEWHERE if value else Why.SYNTAX)
        else:
            _gather(gathering, name, resolved, number)
    found = gathering.found()
    return Reading(Kind.ENV, () if found is None else (found,), gathering.missed)


def field_of(name: str) -> str | None:
    """What a variable sets: a field, "" for what needs no counterpart, `?` for one about mail that is not
    known; None for one that is not about mail.
    """
    upper = name.upper()
    if upper in _URLS or upper in _MAILERS:
        return "url" if upper in _URLS else "mailer"
    if upper in _WHOLE:
        return _WHOLE[upper]
    prefix = _PREFIX.match(upper)
    return None if prefix is None else _BY_SUFFIX.get(upper[prefix.end() :], "?")


def _gather(gathering: Gathering, name: str, value: str, line: int) -> None:
    match field_of(name):
        case "url":
            gather_url(gathering, value, line, name)
        case "mailer":
            if value.lower() not in {"smtp", "smtps", ""}:
                gathering.miss(line, name, Why.MAILER)
        case "?":
            gathering.miss(line, name, Why.UNKNOWN)
        case "" | None:
            return
        case field:
            gathering.take(field, value, line, name)


def _pairs(text: str) -> Iterator[tuple[int, str, str | None]]:
    """(line, name, value); the value is None where its quotes do not close."""
    for number, line in enumerate(text.splitlines(), 1):
        pair = _LINE.fullmatch(line)
        if pair is not None and not line.lstrip().startswith("#"):
            yield number, pair[1], _value(pair[2].strip())


def _value(text: str) -> str | None:
    if text.startswith('"'):
        quoted = _DOUBLE.fullmatch(text)
        return None if quoted is None else _ESCAPE.sub(r"\1", quoted[1])
    if text.startswith("'"):
        quoted = _SINGLE.fullmatch(text)
        return None if quoted is None else quoted[1].replace("${", "$\0{")
    return _COMMENT.sub("", text).strip()


def _resolved(value: str, known: dict[str, str]) -> str | None:
    """The value with references to earlier variables followed; None where one leads out, or too far."""
    names = _REFERENCE.findall(value)
    if any(name not in known for name in names) or sum(len(known[name]) for name in names) > _LONGEST:
        return None
    return _REFERENCE.sub(lambda found: known[found[1]], value).replace("$\0{", "${")
