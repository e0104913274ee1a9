"""The environment as one checked value: all of `docs/reference/environment.md`, every error at once.

A variable is read from the process, else from `.env` in the data directory; a secret also from the file that
`NAME_FILE` names. Files that it names are opened. Nothing here touches the database, creates a file or dials.
Secrets have no `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from itertools import combinations
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from vaguemestre import spelling
from vaguemestre.egress import parse_networks, parse_ports
from vaguemestre.http_transport import Address
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret
from vaguemestre.pem import has_certificates, has_key
from vaguemestre.signing import SigningKey
from vaguemestre.spelling import Network
from vaguemestre.variables import PREFIX, dotenv, secret_text, unknown

SECRET_KEY_FILE = "secret.key"  # noqa: S105  a file's name
VAULT_KEY_FILE = "vault.key"
ENV_FILE = ".env"
SECRETS = {"DATABASE_URL", *(f"{PREFIX}{name}" for name in ("SECRET_KEY", "VAULT_KEYS", "ALERT_SECRET"))}
DATABASE_FILE = "vaguemestre.sqlite3"
LANGUAGES = ("fr", "en", "it")
LOOPBACK = "127.0.0.0/8,::1/128"
_ALERT_HINT = "Give a web address, such as https://alerts.example.org/mail."
_PRIVATE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
        "fc00::/7", "fe80::/10", "::1/128",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Bind:
    """An address to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def meets(self, other: Bind) -> bool:
        """Whether the two cannot be listened on at once; port 0 is always another one."""
        same = self.host == other.host or any(ip_address(bind.host).is_unspecified for bind in (self, other))
        return same and self.port == other.port != 0


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
    trusted_proxies: tuple[Network, ...]
    secret_key: Secret | None
    vault_keys: tuple[Secret, ...]
    egress_allow: str
    egress_ports: str
    source_addresses: tuple[str, ...]
    language: str
    alert_url: Address | None
    alert_key: SigningKey | None
    autoconfig: bool
    resolvers: tuple[tuple[str, int], ...]
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
        self.known: set[str] = set()

    def text(self, name: str, default: str = "") -> str:
        """The variable's value; one that is set to nothing counts as unset."""
        self.known.add(name)
        return self.variables.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        path, text = self.text(f"{name}_FILE"), self.text(name)
        try:
            return secret_text(name, path, text) if path else text
        except ValueError as error:
            self.problem(f"{name}_FILE", str(error))
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
    read = _reader(process, data_dir)
    web = _bind(read, "WEB_BIND", "127.0.0.1:8587")
    secret_key = _secret_key(read, data_dir)
    found = Environment(
        data_dir=data_dir,
        database_url=_database_url(read, data_dir),
        base_url=_base_url(read, web),
        web_bind=web,
        submission_bind=_bind(read, "SUBMISSION_BIND", "127.0.0.1:2525"),
        submission_tls_bind=_optional_bind(read, "SUBMISSION_TLS_BIND"),
        submission_certificate=_path(read, "SUBMISSION_CERTIFICATE"),
        submission_key=_path(read, "SUBMISSION_KEY"),
        submission_trust=_trust(read),
        trusted_proxies=read.parsed(
            f"{PREFIX}TRUSTED_PROXIES",
            LOOPBACK,
            spelling.networks,
            (),
            "Give networks separated by commas, such as 127.0.0.0/8,10.1.0.5/32.",
        ),
        secret_key=secret_key,
        vault_keys=_vault_keys(read, data_dir),
        egress_allow=_egress(read, "EGRESS_ALLOW", parse_networks),
        egress_ports=_egress(read, "EGRESS_PORTS", parse_ports),
        source_addresses=_source_addresses(read),
        language=_language(read),
        alert_url=read.parsed(f"{PREFIX}ALERT_URL", "", _address, None, _ALERT_HINT),
        autoconfig=read.parsed(f"{PREFIX}AUTOCONFIG", "no", spelling.yes, False, "Give yes or no."),
        resolvers=read.parsed(
            f"{PREFIX}RESOLVERS",
            "",
            spelling.resolvers,
            (),
            "Give IP addresses of DNS servers, such as 9.9.9.9.",
        ),
        alert_key=_alert_key(read, secret_key),
        max_message_bytes=read.parsed(
            f"{PREFIX}MAX_MESSAGE_BYTES",
            "26214400",
            spelling.positive,
            26214400,
            "Give a number of bytes above 0.",
        ),
        extra_roots=_roots(read),
        retry_delays=read.parsed(
            f"{PREFIX}RETRY_DELAYS",
            "",
            spelling.seconds,
            (),
            "Give seconds separated by commas, such as 60,300,900.",
        ),
        doubt_delay=read.parsed(
            f"{PREFIX}DOUBT_DELAY", "600", spelling.second, 600.0, "Give a number of seconds above 0."
        ),
    )
    _meeting_binds(read, found)
    _certificate(read, found)
    _unknown(read)
    return replace(found, problems=tuple(read.problems))


def _reader(process: Mapping[str, str], data_dir: Path) -> _Reader:
    found, wrong = dotenv(data_dir / ENV_FILE)
    read = _Reader({**found, **process})
    for sentence in wrong:
        read.problem(ENV_FILE, sentence)
    elsewhere = found.get(f"{PREFIX}DATA_DIR")
    if elsewhere and Path(elsewhere).absolute() != data_dir:
        read.problem(
            f"{PREFIX}DATA_DIR", f"It is read from the process alone, not from {data_dir / ENV_FILE}."
        )
    return read


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
    elif not spelling.is_url(text):
        hint = "It cannot be read: write # and / of the password as %23 and %2F, and the port as a number."
        read.problem("DATABASE_URL", hint)
    return Secret(text)


def _is_web_address(text: str) -> bool:
    return (
        spelling.is_url(text) and urlsplit(text).scheme in {"http", "https"} and bool(urlsplit(text).hostname)
    )


def _base_url(read: _Reader, web: Bind) -> str:
    text = read.text(f"{PREFIX}BASE_URL") or f"http://{web}"
    if not _is_web_address(text):
        read.problem(f"{PREFIX}BASE_URL", "Give a web address, such as https://mail.example.org.")
        return f"http://{web}"
    return text.rstrip("/")


def _address(text: str) -> Address | None:
    return Address.parse(text) if text else None


def _path(read: _Reader, name: str) -> Path | None:
    text = read.text(f"{PREFIX}{name}")
    if not text:
        return None
    try:
        with Path(text).open("rb"):
            return Path(text)
    except OSError as error:
        read.problem(f"{PREFIX}{name}", f"The file {text} cannot be read: {error.strerror}.")
        return None


def _roots(read: _Reader) -> Path | None:
    path = _path(read, "EXTRA_ROOTS")
    if path is not None and not has_certificates(path):
        read.problem(f"{PREFIX}EXTRA_ROOTS", f"{path} is not a PEM file with certificates.")
        return None
    return path


def _certificate(read: _Reader, found: Environment) -> None:
    """Look that the listener's certificate is there where it is needed, and can be used."""
    if not read.text(f"{PREFIX}SUBMISSION_CERTIFICATE"):
        for name, given in (
            ("SUBMISSION_KEY", found.submission_key),
            ("SUBMISSION_TLS_BIND", found.submission_tls_bind),
        ):
            if given is not None:
                read.problem(f"{PREFIX}{name}", f"It needs {PREFIX}SUBMISSION_CERTIFICATE as well.")
    path, key_given = found.submission_certificate, read.text(f"{PREFIX}SUBMISSION_KEY")
    if path is None or (key_given and found.submission_key is None):
        return
    if not has_certificates(path):
        read.problem(f"{PREFIX}SUBMISSION_CERTIFICATE", f"{path} is not a PEM file with a certificate chain.")
    elif not has_key(path, found.submission_key):
        name = "SUBMISSION_KEY" if key_given else "SUBMISSION_CERTIFICATE"
        wanted = "the key of that certificate, without a password"
        hint = f"{found.submission_key or path} is not a PEM file with {wanted}."
        read.problem(f"{PREFIX}{name}", hint)


def _meeting_binds(read: _Reader, found: Environment) -> None:
    binds = {
        "WEB_BIND": found.web_bind,
        "SUBMISSION_BIND": found.submission_bind,
        "SUBMISSION_TLS_BIND": found.submission_tls_bind,
    }
    given = [(name, bind) for name, bind in binds.items() if bind is not None]
    for (first, one), (second, other) in combinations(given, 2):
        if one.meets(other):
            read.problem(f"{PREFIX}{second}", f"{other} meets {PREFIX}{first} ({one}): give another port.")


def _unknown(read: _Reader) -> None:
    for name, meant in unknown(read.variables, read.known | {f"{PREFIX}DATA_DIR"}):
        read.problem(name, "There is no such variable" + (f"; {meant} is one." if meant else "."))


def _trust(read: _Reader) -> tuple[Network, ...]:
    """Networks that may submit without AUTH: never wider than the private ranges."""
    hint = "Give private networks separated by commas, such as 192.168.1.0/24."
    none: tuple[Network, ...] = ()
    networks = read.parsed(f"{PREFIX}SUBMISSION_TRUST", "", spelling.networks, none, hint)
    if not all(map(is_private, networks)):
        read.problem(f"{PREFIX}SUBMISSION_TRUST", hint)
        return ()
    return networks


def is_private(network: Network) -> bool:
    """Whether all of it lies within one of the private ranges."""
    return any(
        network.version == whole.version and network.subnet_of(whole)  # type: ignore[arg-type]  # the same kind
        for whole in _PRIVATE
    )


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
    parts = [part for part in re.split(r"[,\s]+", read.text(f"{PREFIX}SOURCE_ADDRESSES")) if part]
    wrong = [part for part in parts if not spelling.is_address(part)]
    if wrong:
        hint = "Give IP addresses separated by commas; none is " + ", ".join(wrong) + "."
        read.problem(f"{PREFIX}SOURCE_ADDRESSES", hint)
        return ()
    return tuple(str(ip_address(part)) for part in parts)


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


def _alert_key(read: _Reader, secret_key: Secret | None) -> SigningKey | None:
    """The operator's, else one that follows from the secret key; None where there is neither."""
    text = read.secret(f"{PREFIX}ALERT_SECRET")
    if not text:
        return None if secret_key is None else SigningKey.derived(secret_key)
    try:
        return SigningKey.parse(text)
    except ValueError:
        read.problem(f"{PREFIX}ALERT_SECRET", "Give whsec_ and base64 of 24 to 64 random bytes.")
        return None


def _vault_keys(read: _Reader, data_dir: Path) -> tuple[Secret, ...]:
    """Keys of 32 bytes in base64; the first encrypts, all decrypt."""
    text = read.secret(f"{PREFIX}VAULT_KEYS") or _stored(data_dir / VAULT_KEY_FILE)
    keys = [part for part in re.split(r"[,\s]+", text) if part]
    if not all(spelling.is_vault_key(key) for key in keys):
        read.problem(f"{PREFIX}VAULT_KEYS", "Each key is 32 random bytes in base64.")
        return ()
    return tuple(Secret(key) for key in keys)


def _stored(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
