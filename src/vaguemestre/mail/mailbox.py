"""Addresses: one strict grammar for every door (RFC 5321 §4.1.2, RFC 6531 §3.3).

Plain ASCII addresses are judged here, since they are nearly all; international and quoted ones by
email-validator. Special-use domains (`.test`, `.local`, `localhost`) are addresses too: offices use them.
Nothing is repaired: what is not an address raises `Invalid` with the code `address_syntax`.
"""

from __future__ import annotations

import re
from dataclasses import field
from functools import lru_cache

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.value import value

# The library's documentation gives this list to its callers to change; offices do use such domains.
SPECIAL_USE_DOMAIN_NAMES.clear()

LOCAL_LIMIT = 64  # octets, RFC 5321 §4.5.3.1.1
ADDRESS_LIMIT = 254  # octets: a path holds 256 with its angle brackets, RFC 5321 §4.5.3.1.3
NAME_LIMIT = 200  # characters of a display name; ours

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ENCODED_WORD = re.compile(r"=\?[^?]+\?[bBqQ]\?[^?]*\?=")
_SPECIAL = re.compile(r'[()<>\[\]:;@\\,."]')
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@value
class Mailbox:
    """An address in both of its forms.

    Attributes:
        local: the local part as it was given.
        domain: lower case, international labels as people read them (U-labels).
        domain_ascii: the same as the wire and the DNS have it (A-labels, RFC 5890).
        wire: the address for the wire and for comparison: the domain in A-labels.
    """

    local: str
    domain: str
    domain_ascii: str
    wire: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.wire = f"{self.local}@{self.domain_ascii}"  # type: ignore[misc]  # while it is made

    @classmethod
    def parse(cls, text: str, field: str = "address") -> Mailbox:
        """The address that `text` is.

        Raises:
            Invalid: code `address_syntax`, `address_length`, `address_blank` or `address_empty`, naming
                `field`.
        """
        try:
            return _parse(text)
        except Invalid as refusal:
            raise refusal.at(field) from None

    @property
    def address(self) -> str:
        """For people: `contact@café.example`."""
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """For comparing addresses without regard to case."""
        return self.wire.casefold()

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it (RFC 6531 §3.2)."""
        return not self.local.isascii()

    def __str__(self) -> str:
        return self.address


@lru_cache(maxsize=1_024)
def _parse(text: str) -> Mailbox:
    local, _, given = text.partition("@")
    # What cannot be an address may be of any size: it is not kept.
    look = _plain_domain if len(given) <= ADDRESS_LIMIT else _plain_domain.__wrapped__
    domain = look(given)
    if domain is not None and _is_plain(local):
        mailbox = Mailbox(local, domain, domain)
        return mailbox if len(text) <= LOCAL_LIMIT else _measured(mailbox)
    if not text:
        raise Invalid("address", "address_empty", "An address is needed, such as name@example.org.")
    if text != text.strip():
        raise Invalid("address", "address_blank", "There is a blank before or after the address; remove it.")
    if _UNSAFE.search(text) or _ENCODED_WORD.search(text):
        raise _refusal()
    try:
        found = validate_email(
            text,
            check_deliverability=False,
            globally_deliverable=False,
            allow_quoted_local=True,
            strict=False,
        )
    except EmailNotValidError:
        raise _refusal() from None
    ascii_domain = found.ascii_domain
    if found.local_part is None or ascii_domain is None:
        raise _refusal()
    return _measured(Mailbox(found.local_part, found.domain, ascii_domain.lower()))


@lru_cache(maxsize=1_024)
def _plain_domain(text: str) -> str | None:
    """In small letters, where it is of ASCII and no A-label; few domains have many addresses."""
    return text.lower() if _DOMAIN.fullmatch(text) and not _encoded(text) else None


def _is_plain(local: str) -> bool:
    return (local.isalnum() and local.isascii()) or (
        _LOCAL.fullmatch(local) is not None and not _encoded(local)
    )


def _encoded(text: str) -> bool:
    """Whether an A-label or an encoded word may be in it; nearly all are neither."""
    return ("--" in text and "xn--" in text.lower()) or (
        "=?" in text and _ENCODED_WORD.search(text) is not None
    )


def _measured(mailbox: Mailbox) -> Mailbox:
    if len(mailbox.local.encode()) > LOCAL_LIMIT or len(mailbox.wire.encode()) > ADDRESS_LIMIT:
        raise Invalid(
            "address",
            "address_length",
            f"The address is too long: at most {LOCAL_LIMIT} bytes before the @ and {ADDRESS_LIMIT} in all.",
        )
    return mailbox


def _refusal() -> Invalid:
    message = "This is not an email address; write it like name@example.org."
    return Invalid("address", "address_syntax", message)


def display_name(text: str, field: str) -> str:
    """A name that may stand before an address in a header.

    Raises:
        Invalid: control or bidirectional characters, or longer than `NAME_LIMIT`.
    """
    if _UNSAFE.search(text):
        raise Invalid(field, "control_characters", "Control characters are not allowed in a name.")
    if len(text) > NAME_LIMIT:
        raise Invalid(field, "too_long", f"The name is too long: at most {NAME_LIMIT} characters.")
    return text


def quoted_phrase(name: str) -> str:
    """A display name as it may stand before an address: quoted where it must be (RFC 5322 §3.2.4)."""
    if not _SPECIAL.search(name) and "=?" not in name and name == " ".join(name.split()):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@value
class NamedMailbox:
    """A mailbox with its display name, as a header shows it (RFC 5322 §3.4)."""

    mailbox: Mailbox
    name: str = ""

    def __post_init__(self) -> None:
        if self.name:
            display_name(self.name, "name")

    def header(self) -> str:
        """As text of a header field, not yet folded or encoded."""
        return f"{quoted_phrase(self.name)} <{self.mailbox.wire}>" if self.name else self.mailbox.wire

    def __str__(self) -> str:
        return f"{self.name} <{self.mailbox}>" if self.name else self.mailbox.address
