"""What is known of a provider: its servers, how one signs in there, what it allows, and since when we know.

The facts are data (`data/*.toml`, one table a provider), read once. A preset that is loaded is valid: hosts
are canonical, ports are ports, limits are the lanes' own; a mistake in the data fails the first reader, and
the tests. `like` names a sibling whose values are taken where they are not given.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host, valid_port

LIMITS = ("max_sessions", "per_minute", "per_day", "max_recipients")
_HINTS = "hints.toml"


@dataclass(frozen=True)
class Server:
    """Where a provider takes mail, and how."""

    host: str
    port: int
    encryption: Encryption

    def values(self) -> dict[str, Any]:
        """Under the names of a connection's resource."""
        return {"host": self.host, "port": self.port, "encryption": self.encryption.value}


class Login(StrEnum):
    """What of the sender's address is the login."""

    ADDRESS = "address"
    LOCAL_PART = "local_part"

    def of(self, address: str) -> str:
        """The login of an address as typed."""
        return address if self is Login.ADDRESS else address.rpartition("@")[0]


@dataclass(frozen=True)
class Hint:
    """A sentence for people, in each language of the product."""

    en: str
    fr: str
    it: str

    def text(self, language: str) -> str:
        """In that language, else in English."""
        return str(getattr(self, language[:2], self.en))


@dataclass(frozen=True)
class Preset:
    """A provider.

    Attributes:
        servers: the first is the one to fill in; the others serve as well.
        login, password: hints for what to type.
        login_is: what of the address is the login, where that is so.
        note: what is peculiar here, if anything.
        limits: any of `LIMITS`; recipients for `per_day`.
        spf_include: what a domain's SPF record includes to let this provider send; "" where not known.
        dkim_selectors: selectors that are usual here, to look for.
        domains: mailboxes at these domains are this provider's.
        mx: mail of a domain is received here by hosts at these names.
        countries: where it is usual (ISO 3166-1); none for everywhere.
        checked_on: when the facts were last compared with `source`.
    """

    key: str
    label: str
    servers: tuple[Server, ...]
    auth: tuple[AuthKind, ...]
    login: Hint
    password: Hint
    docs: str
    checked_on: date
    source: str
    note: Hint | None = None
    login_is: Login | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    spf_include: str = ""
    dkim_selectors: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()

    @property
    def server(self) -> Server:
        """The one to fill in."""
        return self.servers[0]

    def values(self) -> dict[str, Any]:
        """What it fills in, under the names of a connection's resource."""
        return self.server.values() | {"limits": dict(self.limits)}


@cache
def presets() -> Mapping[str, Preset]:
    """All providers under their keys, by label."""
    hints = {key: Hint(**texts) for key, texts in _read(_HINTS).items()}
    found: dict[str, Preset] = {}
    for name in _files():
        tables = _read(name)
        for key, table in tables.items():
            if key in found:
                raise ValueError(f"{key} is in the presets twice")
            found[key] = _preset(key, tables[table["like"]] | table if "like" in table else table, hints)
    return dict(sorted(found.items(), key=lambda item: item[1].label.casefold()))


def preset(key: str) -> Preset:
    """The provider of that key.

    Raises:
        Invalid: code `provider_unknown`.
    """
    found = presets().get(key)
    if found is None:
        raise Invalid("provider", "provider_unknown", f"There is no provider {key}.", {"provider": key})
    return found


def preset_of_host(host: str) -> Preset | None:
    """The provider that has such a server."""
    return next(
        (one for one in presets().values() if any(server.host == host for server in one.servers)), None
    )


def _files() -> Iterator[str]:
    folder = files("vaguemestre.providers") / "data"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return (name for name in names if name != _HINTS)


def _read(name: str) -> dict[str, Any]:
    text = (files("vaguemestre.providers") / "data" / name).read_text(encoding="utf-8")
    return tomllib.loads(text)


def _preset(key: str, table: Mapping[str, Any], hints: Mapping[str, Hint]) -> Preset:
    rest: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    for name in ("like", "servers", "auth", "login", "password", "note", "limits"):
        rest.pop(name, None)
    return Preset(
        key=key,
        servers=tuple(map(_server, table["servers"])),
        auth=tuple(map(AuthKind, table["auth"])),
        login=hints[table["login"]],
        password=hints[table["password"]],
        note=hints[table["note"]] if "note" in table else None,
        login_is=Login(table["login"]) if table["login"] in {*Login} else None,
        limits=_limits(table.get("limits", {})),
        **rest,
    )


def _server(table: Mapping[str, Any]) -> Server:
    return Server(canonical_host(table["host"]), valid_port(table["port"]), Encryption(table["encryption"]))


def _limits(table: Mapping[str, int]) -> Mapping[str, int]:
    unknown = table.keys() - {*LIMITS}
    if unknown:
        raise ValueError(f"there is no limit {', '.join(unknown)}")
    return dict(table)
