"""WordPress's constants: `define('WPMS_…', …)` of WP Mail SMTP, `FLUENTMAIL_…` of FluentSMTP, `SMTP_…`.

A PHP text is scanned, not run: comments are passed over, strings read with their escapes. A value that is
computed, or comes from the environment, is marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vaguemestre.providers.imports.gathering import Gathering
from vaguemestre.providers.imports.reading import Kind, Reading, Why

IS_WORDPRESS = re.compile(r"\bdefine\s*\(\s*['\"](?:WPMS_|FLUENTMAIL_|SMTP_)")
_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?(?:\*/|\Z)|(?://|\#)[^\n]*)
      | \bdefine\s*\(\s*(?P<quote>['"])(?P<name>\w+)(?P=quote)\s*,\s*
        (?: '(?P<single>(?:[^'\\]|\\.)*+)'
          | "(?P<double>(?:[^"\\$]|\\.)*+)"
          | (?P<bare>true|false|null|[0-9]+)
          | (?P<other>[^;]{0,500}?)
        )\s*\)\s*;
      | '(?:[^'\\]|\\.)*+(?:'|\Z) | "(?:[^"\\]|\\.)*+(?:"|\Z)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_SINGLE_ESCAPE = re.compile(r"\\([\\'])")
_DOUBLE_ESCAPE = re.compile(r'\\([\\"$])')
_FIELDS = {
    "WPMS_SMTP_HOST": "host",
    "WPMS_SMTP_PORT": "port",
    "WPMS_SSL": "encryption",
    "WPMS_SMTP_USER": "login",
    "WPMS_SMTP_PASS": "password",
    "WPMS_MAIL_FROM": "from",
    "WPMS_MAIL_FROM_NAME": "sender_name",
    "FLUENTMAIL_SMTP_HOST": "host",
    "FLUENTMAIL_SMTP_PORT": "port",
    "FLUENTMAIL_SMTP_ENCRYPTION": "encryption",
    "FLUENTMAIL_SMTP_USERNAME": "login",
    "FLUENTMAIL_SMTP_PASSWORD": "password",
    "SMTP_HOST": "host",
    "SMTP_PORT": "port",
    "SMTP_SECURE": "encryption",
    "SMTP_USER": "login",
    "SMTP_PASS": "password",
    "SMTP_PASSWORD": "password",
    "SMTP_FROM": "from",
    "SMTP_NAME": "sender_name",
}
_NEEDLESS = frozenset(
    {
        "WPMS_ON", "WPMS_MAIL_FROM_FORCE", "WPMS_MAIL_FROM_NAME_FORCE", "WPMS_SET_RETURN_PATH",
        "WPMS_SMTP_AUTH", "WPMS_SMTP_AUTOTLS", "WPMS_LICENSE_KEY", "SMTP_AUTH", "SMTP_DEBUG",
    }
)  # fmt: skip
_ABOUT_MAIL = ("WPMS_", "FLUENTMAIL_", "SMTP_")
_BY_SMTP = frozenset({"smtp", ""})


def read_wordpress(text: str) -> Reading:
    """The connection that the constants describe."""
    gathering = Gathering()
    for line, name, value in _constants(text):
        if name == "WPMS_MAILER":
            if (value or "").lower() not in _BY_SMTP:
                gathering.miss(line, name, Why.MAILER)
        elif name in _FIELDS:
            _take(gathering, name, value, line)
        elif name.startswith(_ABOUT_MAIL) and name not in _NEEDLESS:
            gathering.miss(line, name, Why.UNKNOWN)
    found = gathering.found()
    return Reading(Kind.WORDPRESS, () if found is None else (found,), gathering.missed)


def _take(gathering: Gathering, name: str, value: str | None, line: int) -> None:
    if value is None:
        gathering.miss(line, name, Why.ELSEWHERE)
    else:
        gathering.take(_FIELDS[name], value, line, name)


def _constants(text: str) -> Iterator[tuple[int, str, str | None]]:
    """(line, name, value) of each `define`; the value is None where it is not written there."""
    for token in _TOKEN.finditer(text):
        if token["name"] is not None:
            yield text.count("\n", 0, token.start()) + 1, token["name"], _value(token)


def _value(token: re.Match[str]) -> str | None:
    if token["single"] is not None:
        return _SINGLE_ESCAPE.sub(r"\1", token["single"])
    if token["double"] is not None:
        return _DOUBLE_ESCAPE.sub(r"\1", token["double"])
    bare: str | None = token["bare"]
    return bare
