"""Postfix's relay accounts: `main.cf`, `sasl_passwd` and `sender_relay`, pasted together in any order.

A line `name = value` is main.cf's, with its continuation lines; a line of two words is of one of the tables:
credentials (`login:password`) for a next hop or a sender, or a next hop for a sender. There is one connection
for `relayhost` and one for each next hop of a sender or of the credentials that is not the same. What main.cf
says of anything but sending through a relay is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from vaguemestre.providers.imports.gathering import Gathering
from vaguemestre.providers.imports.reading import Kind, Reading, Unread, Why, in_order

_PARAMETER = re.compile(r"([A-Za-z0-9_]+)\s*=\s*(.*)")
_ENTRY = re.compile(r"(\S+)\s+(\S.*)")
_NEXT_HOP = re.compile(r"(\[[^\]\s]+\]|[^:@\s]+)(?::([A-Za-z0-9]+))?")
_SERVICES = {"smtp": "25", "submission": "587", "smtps": "465", "submissions": "465"}
IS_POSTFIX = re.compile(
    r"^(?:relayhost|smtp_sasl_|smtp_tls_|sender_dependent_relayhost)|^\[[^\]\s]+\](?::\w+)?\s+\S+:\S",
    re.MULTILINE,
)
_NEEDLESS = re.compile(
    r"smtp_sasl_(?:auth_enable|password_maps|(?:tls_)?security_options|mechanism_filter)|smtp_use_tls"
    r"|smtp_tls_(?:CA\w+|loglevel|session_cache_database|note_starttls_offer|protocols|mandatory_\w+|ciphers)"
    r"|smtp_sender_dependent_authentication|sender_dependent_relayhost_maps|smtpd?_\w*timeout",
    re.IGNORECASE,
)
_FIELDS = {
    "smtp_bind_address": "source_address",
    "smtp_bind_address6": "source_address",
    "smtp_destination_concurrency_limit": "max_sessions",
    "default_destination_concurrency_limit": "max_sessions",
    "smtp_destination_recipient_limit": "max_recipients",
    "default_destination_recipient_limit": "max_recipients",
}


@dataclass(frozen=True)
class _Line:
    number: int
    first: str
    rest: str


@dataclass
class _Tables:
    """What was pasted, sorted."""

    parameters: dict[str, _Line] = field(default_factory=dict)
    credentials: dict[str, _Line] = field(default_factory=dict)
    relays: dict[str, _Line] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)


def read_postfix(text: str) -> Reading:
    """The connections that a Postfix sends through."""
    tables = _sorted(text)
    gathered = [_gathered(tables, sender, hop) for sender, hop in _accounts(tables)]
    found = [one for gathering in gathered if (one := gathering.found()) is not None]
    unread = [*tables.unread, *(line for gathering in gathered for line in gathering.unread)]
    return Reading(Kind.POSTFIX, tuple(found), in_order(unread))


def _sorted(text: str) -> _Tables:
    tables = _Tables()
    for number, line in _logical(text):
        parameter, entry = _PARAMETER.fullmatch(line), _ENTRY.fullmatch(line)
        if parameter is not None:
            _keep_parameter(tables, _Line(number, parameter[1], parameter[2].strip()))
        elif entry is not None:
            _keep_entry(tables, _Line(number, entry[1], entry[2].strip()))
        else:
            tables.unread.append(Unread(number, "", Why.SYNTAX))
    return tables


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations (those that begin with a blank), without comments."""
    start, whole = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if line[0].isspace() and whole:
            whole = f"{whole} {line.strip()}"
            continue
        if whole:
            yield start, whole
        start, whole = number, line.strip()
    if whole:
        yield start, whole


def _keep_parameter(tables: _Tables, line: _Line) -> None:
    name = line.first
    tables.parameters[name] = line
    known = name in {"relayhost", "smtp_tls_security_level", "smtp_tls_wrappermode", *_FIELDS}
    if name.startswith("smtp_") and not known and not _NEEDLESS.fullmatch(name):
        tables.unread.append(Unread(line.number, name, Why.UNKNOWN))


def _keep_entry(tables: _Tables, line: _Line) -> None:
    if "@" in line.first and _is_next_hop(line.rest):
        tables.relays[line.first] = line
    elif ":" in line.rest:
        tables.credentials[line.first] = line
    else:
        tables.unread.append(Unread(line.number, "", Why.SYNTAX))


def _is_next_hop(text: str) -> bool:
    parts = _NEXT_HOP.fullmatch(text)
    return parts is not None and (text.startswith("[") or "." in parts[1] or parts[1] == "localhost")


def _accounts(tables: _Tables) -> list[tuple[str, _Line]]:
    """(sender, next hop) of each account; "" for any sender."""
    accounts = [*tables.relays.items()]
    relay = tables.parameters.get("relayhost")
    if relay is not None and relay.rest:
        accounts.insert(0, ("", relay))
    used = {line.rest for _, line in accounts}
    accounts += [
        ("", _Line(line.number, line.first, hop))
        for hop, line in tables.credentials.items()
        if "@" not in hop and hop not in used
    ]
    return accounts


def _gathered(tables: _Tables, sender: str, hop: _Line) -> Gathering:
    gathering = Gathering(sender)
    _next_hop(gathering, hop)
    _encryption(gathering, tables)
    for name, resource_field in _FIELDS.items():
        if name in tables.parameters:
            line = tables.parameters[name]
            gathering.take(resource_field, line.rest, line.number, name)
    _sign_in(gathering, tables.credentials.get(sender) or tables.credentials.get(hop.rest))
    if sender.startswith("@"):
        gathering.allow(f"*{sender}")
    elif sender:
        gathering.take("from", sender, hop.number, "sender_relay")
    return gathering


def _sign_in(gathering: Gathering, line: _Line | None) -> None:
    if line is not None:
        login, _, password = line.rest.partition(":")
        gathering.take("login", login, line.number, "sasl_passwd")
        gathering.take("password", password, line.number, "sasl_passwd")


def _next_hop(gathering: Gathering, line: _Line) -> None:
    parts = _NEXT_HOP.fullmatch(line.rest)
    name = "relayhost" if line.first == "relayhost" else "sender_relay"
    if parts is None:
        gathering.miss(line.number, name, Why.VALUE)
        return
    if not parts[1].startswith("["):
        gathering.miss(line.number, name, Why.MX)
    gathering.take("host", parts[1].strip("[]"), line.number, name)
    service = parts[2] or "25"
    gathering.take("port", _SERVICES.get(service.lower(), service), line.number, name)


def _encryption(gathering: Gathering, tables: _Tables) -> None:
    level = tables.parameters.get("smtp_tls_security_level")
    wrapped = tables.parameters.get("smtp_tls_wrappermode")
    if wrapped is not None and wrapped.rest.lower() == "yes":
        gathering.take("encryption", "ssl", wrapped.number, "smtp_tls_wrappermode")
    elif level is not None:
        optional = level.rest.lower() in {"none", "may", ""}
        gathering.take(
            "encryption", "none" if optional else "starttls", level.number, "smtp_tls_security_level"
        )
