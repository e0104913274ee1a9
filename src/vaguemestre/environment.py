"""The environment as one checked value: all of `docs/reference/environment.md`, every error at once.

A variable is read from the process, else from `.env` in the data directory; a secret also from the file that
`NAME_FILE` names. Nothing here touches the database or creates a file. Secrets have no `repr`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from vaguemestre.egress import parse_networks, parse_ports
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret

PREFIX = "VAGUEMESTRE_"
SECRET_KEY_FILE = "secret.key"  # noqa: S105  a file's name
VAULT_KEY_FILE = "vault.key"
DATABASE_FILE = "vaguemestre.sqlite3"
LANGUAGES = ("fr", "en")

type Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Bind:
    """An address to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Environment:
    """What the operator set. Lengths of time are seconds, sizes bytes."""

    data_dir: Path
    database_url: Secret
    base_url: str
    web_bind: Bind
    submission_bind: Bind
    submission_tls_bind: Bind | None
    submission_certificate: Path | None
    submission_key: Path | None
    submission_trust: tuple[Network, ...]
    secret_key: Secret | None
    vault_keys: tuple[Secret, ...]
    egress_allow: str
    egress_ports: str
    source_addresses: tuple[str, ...]
    language: str
    alert_url: str
    max_message_bytes: int
    extra_roots: Path | None
    retry_delays: tuple[float, ...]
    doubt_delay: float
    problems: tuple[Invalid, ...] = field(default=())

    @property
    def on_sqlite(self) -> bool:
        """Whether the embedded database is used."""
        return self.database_url.reveal().startswith("sqlite")

    @property
    def database_file(self) -> Path:
        """The embedded database's file."""
        return Path(unquote(urlsplit(self.database_url.reveal()).path[1:]))


class _Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.problems: list[Invalid] = []

    def text(self, name: str, default: str = "") -> str:
        """The variable's value; one that is set to nothing counts as unset."""
        return self.variables.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        path = self.text(f"{name}_FILE")
        if not path:
            return self.text(name)
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            self.problem(f"{name}_FILE", f"The file {path} cannot be read: {error.strerror}.")
            return ""

    def problem(self, name: str, message: str) -> None:
        self.problems.append(Invalid(name, "environment", message))

    def parsed[T](self, name: str, default: str, parse: Callable[[str], T], fallback: T, hint: str) -> T:
        try:
            return parse(self.text(name, default))
        except (ValueError, TypeError):
            self.problem(name, hint)
            return fallback


def read_environment(process: Mapping[str, str]) -> Environment:
    """The environment as a value; what is wrong with it is in `problems`, all of it."""
    data_dir = Path(process.get(f"{PREFIX}DATA_DIR") or "data").absolute()
    read = _Reader({**_dotenv(data_dir / ".env"), **process})
    web = _bind(read, "WEB_BIND", "127.0.0.1:8587")
    return Environment(
        data_dir=data_dir,
        database_url=_database_url(read, data_dir),
        base_url=_base_url(read, web),
        web_bind=web,
        submission_bind=_bind(read, "SUBMISSION_BIND", "127.0.0.1:2525"),
        submission_tls_bind=_optional_bind(read, "SUBMISSION_TLS_BIND"),
        submission_certificate=_path(read, "SUBMISSION_CERTIFICATE"),
        submission_key=_path(read, "SUBMISSION_KEY"),
        submission_trust=_trust(read),
        secret_key=_secret_key(read, data_dir),
        vault_keys=_vault_keys(read, data_dir),
        egress_allow=_egress(read, "EGRESS_ALLOW", parse_networks),
        egress_ports=_egress(read, "EGRESS_PORTS", parse_ports),
        source_addresses=_source_addresses(read),
        language=_language(read),
        alert_url=read.text(f"{PREFIX}ALERT_URL"),
        max_message_bytes=read.parsed(
            f"{PREFIX}MAX_MESSAGE_BYTES", "26214400", _positive, 26214400, "Give a number of bytes above 0."
        ),
        extra_roots=_path(read, "EXTRA_ROOTS"),
        retry_delays=read.parsed(
            f"{PREFIX}RETRY_DELAYS", "", _seconds, (), "Give seconds separated by commas, such as 60,300,900."
        ),
        doubt_delay=read.parsed(
            f"{PREFIX}DOUBT_DELAY", "600", _second, 600.0, "Give a number of seconds above 0."
        ),
        problems=tuple(read.problems),
    )


def _dotenv(path: Path) -> dict[str, str]:
    """`NAME=value` lines; blank lines and `#` comments are passed over, quotes around a value removed."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def _bind(read: _Reader, name: str, default: str) -> Bind:
    return read.parsed(
        f"{PREFIX}{name}", default, _as_bind, _as_bind(default), "Give an address and a port: 127.0.0.1:8587."
    )


def _optional_bind(read: _Reader, name: str) -> Bind | None:
    return _bind(read, name, "127.0.0.1:0") if read.text(f"{PREFIX}{name}") else None


def _as_bind(text: str) -> Bind:
    host, _, port = text.rpartition(":")
    if not 0 <= int(port) <= 65535:
        raise ValueError(port)
    return Bind(str(ip_address(host.strip("[]"))), int(port))


def _database_url(read: _Reader, data_dir: Path) -> Secret:
    text = read.secret("DATABASE_URL") or f"sqlite:///{quote(str(data_dir / DATABASE_FILE))}"
    if not re.match(r"sqlite:///.|postgres(ql)?://", text):
        read.problem("DATABASE_URL", "Give postgresql://USER:PASSWORD@HOST/NAME, or sqlite:///PATH.")
    return Secret(text)


def _base_url(read: _Reader, web: Bind) -> str:
    text = read.text(f"{PREFIX}BASE_URL") or f"http://{web}"
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        read.problem(f"{PREFIX}BASE_URL", "Give a web address, such as https://mail.example.org.")
        return f"http://{web}"
    return text.rstrip("/")


def _path(read: _Reader, name: str) -> Path | None:
    text = read.text(f"{PREFIX}{name}")
    if text and not Path(text).is_file():
        read.problem(f"{PREFIX}{name}", f"There is no file {text}.")
        return None
    return Path(text) if text else None


def _trust(read: _Reader) -> tuple[Network, ...]:
    """Networks that may submit without AUTH: never wider than the private ranges."""
    hint = "Give private networks separated by commas, such as 192.168.1.0/24."
    none: tuple[Network, ...] = ()
    networks = read.parsed(f"{PREFIX}SUBMISSION_TRUST", "", _networks, none, hint)
    if not all(network.is_private or network.is_loopback for network in networks):
        read.problem(f"{PREFIX}SUBMISSION_TRUST", hint)
        return ()
    return networks


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _egress(read: _Reader, name: str, parse: Callable[[str, str], object]) -> str:
    """A part of the guard's rules, kept as text once it can be read."""
    text = read.text(f"{PREFIX}{name}")
    try:
        parse(text, f"{PREFIX}{name}")
    except Invalid as fault:
        read.problems.append(fault)
        return ""
    return text


def _source_addresses(read: _Reader) -> tuple[str, ...]:
    return read.parsed(
        f"{PREFIX}SOURCE_ADDRESSES",
        "",
        lambda text: tuple(str(ip_address(part)) for part in re.split(r"[,\s]+", text) if part),
        (),
        "Give IP addresses separated by commas.",
    )


def _language(read: _Reader) -> str:
    language = read.text(f"{PREFIX}LANGUAGE", "fr")
    if language not in LANGUAGES:
        read.problem(f"{PREFIX}LANGUAGE", f"Give one of: {', '.join(LANGUAGES)}.")
        return "fr"
    return language


def _secret_key(read: _Reader, data_dir: Path) -> Secret | None:
    text = read.secret(f"{PREFIX}SECRET_KEY") or _stored(data_dir / SECRET_KEY_FILE)
    if text and len(text) < 32:
        read.problem(f"{PREFIX}SECRET_KEY", "Give at least 32 random characters.")
        return None
    return Secret(text) if text else None


def _vault_keys(read: _Reader, data_dir: Path) -> tuple[Secret, ...]:
    """Keys of 32 bytes in base64; the first encrypts, all decrypt."""
    text = read.secret(f"{PREFIX}VAULT_KEYS") or _stored(data_dir / VAULT_KEY_FILE)
    keys = [part for part in re.split(r"[,\s]+", text) if part]
    if not all(_is_vault_key(key) for key in keys):
        read.problem(f"{PREFIX}VAULT_KEYS", "Each key is 32 random bytes in base64.")
        return ()
    return tuple(Secret(key) for key in keys)


def _is_vault_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def _stored(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError(text)
    return number


def _second(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 10**9:
        raise ValueError(text)
    return seconds


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(_second(part) for part in text.split(",") if part.strip())
