"""A case of the drill: what a server says, how it is tried, and what must be found first. One text file each.

The head is lines `# name: value`, the rest is a dialogue of `scripted.dialogue`. Names:

    finding      the code that comes first
    tag          recorded (a real server's words), documented (with its address) or constructed
    source       the server and its fault; the address of the documentation
    world        where no server answers, see `test_drill.worlds`; without, the dialogue is played
    encryption, login, password, sender, host, port, ehlo, source_address, pin: what is typed
    token_answer, grant: what the token endpoint says, and how it is asked; none where nobody set one up
    recipient    whom RCPT names
    at, also     the address that the server listens at; another one of its name
    certificate  the server's, of `certificate_of`
    facts        what the finding must tell, name=value
"""

import datetime as dt
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import trustme

from scripted.certificates import Certificate, self_signed, the_authority, the_certificate

TRANSCRIPTS = Path(__file__).parent / "transcripts"
NINE_DAYS = dt.timedelta(days=9, hours=1)
_HEAD = re.compile(r"# (\w+): (.*)")


@dataclass(frozen=True)
class Case:
    """See the module."""

    name: str
    head: dict[str, str]
    script: str

    def get(self, name, otherwise=""):
        return self.head.get(name, otherwise)


def cases():
    """All of them, by name."""
    return [_case(path) for path in sorted(TRANSCRIPTS.glob("*.txt"))]


def _case(path):
    text = path.read_text(encoding="utf-8")
    head = dict(_HEAD.fullmatch(line).groups() for line in text.split("\n\n", 1)[0].splitlines())
    return Case(path.stem, head, text)


@cache
def certificate_of(name, host="localhost"):
    """The certificate of that name."""
    return CERTIFICATES[name](host)


CERTIFICATES = {
    "good": lambda host: the_certificate() if host == "localhost" else the_authority().certificate(host),
    "expired": lambda host: the_authority().expired(host),
    "not_yet_valid": lambda host: the_authority().not_yet_valid(host),
    "wrong_name": lambda _: the_authority().certificate("mail.other.example", "smtp.other.example"),
    "self_signed": self_signed,
    "weak": lambda host: self_signed(host, weak=True),
    "unknown": lambda host: _of(trustme.CA(), host),
    "soon": lambda host: _of(the_authority().ca, host, not_after=dt.datetime.now(dt.UTC) + NINE_DAYS),
    "intercepted": lambda host: _of(trustme.CA(organization_name="Fortinet"), host),
    "trusted_interception": lambda host: _of(proxy(), host),
}


@cache
def proxy():
    """The authority of a proxy that this machine was told to trust."""
    return trustme.CA(organization_name="Zscaler Inc.", organization_unit_name="Zscaler Root CA")


def _of(authority, host, **limits):
    leaf = authority.issue_cert(host, **limits)
    return Certificate(b"".join(pem.bytes() for pem in leaf.cert_chain_pems), leaf.private_key_pem.bytes())
