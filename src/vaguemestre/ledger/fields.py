"""What people type into a connection, as checked values: one validation for console, API and CLI.

`parse` takes raw values under the names of the API's resource and returns attributes of the model; every
fault is collected, each at its field, so that a form can show them all at once. Nothing is repaired: a pasted
URL, a blank or a port in the server's name is refused with the hint that sets it right. What depends on the
database (uniqueness, the stored secret) is `connections`' business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

from cryptography import x509

from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host, valid_port
from vaguemestre.mail.mailbox import Mailbox, display_name
from vaguemestre.policy.routing import parse_allowed_sender

NAME_LIMIT = 100  # characters
LOGIN_LIMIT = 320  # characters
PASSWORD_LIMIT = 4096  # characters: some providers' keys are long
LIMITS = ("max_sessions", "per_minute", "per_day", "max_recipients")

type Values = Mapping[str, object]
type Clean = dict[str, Any]


def name_key(name: str) -> str:
    """By which names are told apart: no case, no compatible forms, no characters that do not show."""
    shown = "".join(character for character in name if unicodedata.category(character) != "Cf")
    folded = unicodedata.normalize("NFKC", shown).casefold()
    # Folding may undo the composition of what was composed before it (Unicode 3.13, D146).
    return unicodedata.normalize("NFKC", folded).strip()


def parse(values: Values, base: Clean) -> tuple[Clean, list[Invalid]]:
    """The attributes that `values` set over `base`, and everything that is wrong with them."""
    clean: Clean = {}
    faults: list[Invalid] = []
    for field, value in values.items():
        parser = _PARSERS.get(field)
        if parser is None:
            faults.append(Invalid(field, "unknown_field", f"There is no field {field}."))
            continue
        try:
            clean |= parser(value, field)
        except Invalid as fault:
            faults.append(fault)
    _follow_port(values, base, clean)
    return clean, faults


def _follow_port(values: Values, base: Clean, clean: Clean) -> None:
    """The port follows the encryption where it was not typed."""
    encryption = clean.get("encryption")
    if values.get("port") in (None, "") and encryption is not None:
        before = base.get("encryption")
        if before is None or base.get("port") == Encryption(before).usual_port:
            clean["port"] = Encryption(encryption).usual_port


def cross_check(state: Clean) -> list[Invalid]:
    """What is wrong with values that are each right."""
    faults = []
    if state["is_default"] and not state["active"]:
        faults.append(
            Invalid(
                "is_default",
                "default_inactive",
                "Only an active connection can be the default sender: activate it, or leave it unticked.",
            )
        )
    signs_in = state["auth"] != AuthKind.NONE
    if signs_in and state["encryption"] == Encryption.NONE and not is_loopback(state["host"]):
        faults.append(
            Invalid(
                "encryption",
                "credentials_in_clear",
                "A password is never sent unencrypted: choose SSL or TLS, or leave login and password empty.",
            )
        )
    return faults


def is_loopback(host: str) -> bool:
    """Whether the server is this machine by its very name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _text(limit: int) -> Callable[[object, str], str]:
    return lambda value, field: text_of(value, field, limit)


def text_of(value: object, field: str, limit: int) -> str:
    """A text of at most so many characters, none of them a control character.

    Raises:
        Invalid: it is none.
    """
    text = _string(value, field)
    if len(text) > limit:
        raise Invalid(field, "too_long", f"This is too long: at most {limit} characters.", {"limit": limit})
    return text


def _string(value: object, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid(field, "not_text", "Text is needed here.")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in value):
        raise Invalid(field, "control_characters", "There is a control character in it; remove it.")
    return value


def _name(value: object, field: str) -> Clean:
    name = display_name(_text(NAME_LIMIT)(value, field), field)
    if not name_key(name):
        raise Invalid(field, "name_empty", "Give the connection a name, such as Office.")
    return {"name": name, "name_key": name_key(name)}


def _sender(value: object, field: str) -> Clean:
    mailbox = Mailbox.parse(_string(value, field), field)
    return {"sender_email": mailbox.address, "sender_ascii": mailbox.wire}


def _reply_to(value: object, field: str) -> Clean:
    text = _string(value, field)
    return {field: Mailbox.parse(text, field).address if text else ""}


def _host(value: object, field: str) -> Clean:
    return {"host": canonical_host(_string(value, field), field)}


def _encryption(value: object, field: str) -> Clean:
    text = _string(value, field).lower()
    # The form says TLS, as the mission does; underneath it is STARTTLS (RFC 3207).
    name = "starttls" if text == "tls" else text
    if name not in {*Encryption}:
        raise Invalid(field, "encryption_unknown", "Choose ssl, starttls (TLS) or none.")
    return {"encryption": Encryption(name).value}


def _port(value: object, field: str) -> Clean:
    if value is None or value == "":
        return {}
    return {"port": valid_port(_whole(value), field)}


def _whole(value: object) -> int:
    """A whole number given as one or in digits; -1, which nothing takes, for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,12}", value) else -1


def _auth(value: object, field: str) -> Clean:
    text = _string(value, field)
    if text not in {*AuthKind}:
        raise Invalid(field, "auth_unknown", "Choose none, password or oauth2.")
    return {"auth": text}


def _flag(value: object, field: str) -> Clean:
    if not isinstance(value, bool):
        raise Invalid(field, "not_boolean", "This is either true or false.")
    return {field: value}


def _allowed_senders(value: object, field: str) -> Clean:
    if not isinstance(value, list | tuple):
        raise Invalid(field, "not_list", "A list of addresses is needed.")
    entries = [
        parse_allowed_sender(_string(item, f"{field}[{position}]"), f"{field}[{position}]")
        for position, item in enumerate(value)
    ]
    return {field: list(dict.fromkeys(entries))}


def _limits(value: object, field: str) -> Clean:
    if not isinstance(value, Mapping):
        raise Invalid(field, "not_object", f"An object with any of {', '.join(LIMITS)} is needed.")
    unknown = [name for name in value if name not in LIMITS]
    if unknown:
        raise Invalid(f"{field}.{unknown[0]}", "unknown_field", f"There is no limit {unknown[0]}.")
    return {name: _limit(limit, f"{field}.{name}") for name, limit in value.items()}


def _limit(value: object, field: str) -> int | None:
    if value is None or value == "":
        return None
    number = _whole(value)
    if not 1 <= number <= 10**9:
        raise Invalid(field, "limit_range", "A limit is a whole number above 0, or empty for none.")
    return number


def _as_it_is(value: object, field: str) -> Clean:
    """Judged elsewhere: `oauth2_typed`."""
    return {field: value}


def _source_address(value: object, field: str) -> Clean:
    text = _string(value, field)
    try:
        return {field: str(ip_address(text)) if text else ""}
    except ValueError:
        raise Invalid(field, "ip_syntax", "This is not an IP address.") from None


def _plain(limit: int) -> Callable[[object, str], Clean]:
    read = _text(limit)
    return lambda value, field: {field: read(value, field)}


def _certificate(value: object, field: str) -> Clean:
    text = "" if value is None else value
    if not isinstance(text, str) or len(text) > 65536 or not (text == "" or _is_pin(text.strip())):
        raise Invalid(field, "certificate_syntax", "Give a SHA-256 fingerprint or a certificate in PEM.")
    return {field: text.strip()}


def _is_pin(text: str) -> bool:
    """Whether it can be compared with a certificate: 64 hexadecimal digits, colons between, or PEM."""
    if re.fullmatch(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}", text):
        return True
    try:
        return bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False


def _sender_name(value: object, field: str) -> Clean:
    return {field: display_name(_string(value, field), field)}


_PARSERS: dict[str, Callable[[object, str], Clean]] = {
    "name": _name,
    "sender_email": _sender,
    "sender_name": _sender_name,
    "reply_to": _reply_to,
    "host": _host,
    "port": _port,
    "encryption": _encryption,
    "auth": _auth,
    "login": _plain(LOGIN_LIMIT),
    "password": _plain(PASSWORD_LIMIT),
    "clear_password": _flag,
    "oauth2": _as_it_is,
    "active": _flag,
    "is_default": _flag,
    "allowed_senders": _allowed_senders,
    "backup": _plain(100),
    "limits": _limits,
    "pinned_certificate": _certificate,
    "source_address": _source_address,
}
FIELDS = tuple(_PARSERS)
