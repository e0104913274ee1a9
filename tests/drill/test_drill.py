"""The support desk's drill: each thing that can be wrong with a connection is found, and told first.

A case is a file of `transcripts`: a broken configuration, and what a server says to it. The session that a
courier would use is opened against it over real sockets and TLS.
"""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from django.utils import translation

from drill.case import cases, certificate_of
from drill.record import RECORDINGS
from scripted.client import loopback_network
from scripted.ports import Port, black_hole, refusing
from scripted.server import ScriptedServer
from scripted.web import WebServer
from vaguemestre.egress import Guard, HostUnknown, LookupFailed, parse_networks
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.secret import Secret
from vaguemestre.policy.finding import FindingCode, Severity
from vaguemestre.providers.oauth2.account import Account, Grant, Provider
from vaguemestre.providers.oauth2.grants import Credentials
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.timeouts import Timeouts
from vaguemestre.verification.outcome import as_json
from vaguemestre.verification.wording import words
from verification.trial import Nowhere, draft_to, outcome, played

pytestmark = pytest.mark.django_db

TOKEN = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"  # of Google's documentation
QUICK = Timeouts().at_most(0.3)
CASES = cases()
TAGS = {"recorded", "documented", "constructed"}
RECORDED_FROM = ("Postfix ", "Exim ", "OpenSMTPD ")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_wrong_is_found_and_told_first(case, roots):
    code = FindingCode(case.get("finding"))
    with world_of(case, roots) as (server, network):
        found = tried(case, server, network)
    assert [finding.code.value for finding in found.findings][:1] == [code]
    assert found.ok is (found.findings[0].severity is not Severity.ERROR)
    for fact in filter(None, case.get("facts").split("; ")):
        name, _, value = fact.partition("=")
        assert found.findings[0].facts.get(name) == value
    told_in_every_language(found.findings[0])
    for secret in filter(None, (case.get("password"), TOKEN)):
        assert spelt(secret) not in json.dumps(as_json(found, words))


def tried(case, server, network):
    """The end of the verification."""
    recipient = Mailbox.parse(case.get("recipient")) if case.get("recipient") else None
    now = dt.datetime.now(dt.UTC)
    with draft_of(case, server) as draft:
        return outcome(draft, network, timeouts=QUICK, now=now, recipient=recipient)


@contextlib.contextmanager
def draft_of(case, server):
    """What was typed; with a token, and the endpoint that gives or refuses it, where the case has one."""
    draft = draft_to(server, **typed(case))
    status, _, body = case.get("token_answer").partition(" ")
    if not body:
        yield draft
        return
    with played(WebServer(response(int(status), body))) as web:
        grant = Grant(case.get("grant", "client_credentials"))
        account = Account(Provider.GENERIC, grant, "the-application", f"http://127.0.0.1:{web.port}/token")
        yield replace(draft, account=account, credentials=Credentials(Secret("x"), refresh_token=Secret("y")))


def response(status, body):
    head = f"HTTP/1.1 {status} As Told\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


def told_in_every_language(finding):
    texts = {}
    for language in ("en", "fr", "it"):
        with translation.override(language):
            told = words(finding)
        texts[language] = {told[part] for part in ("what", "why", "remedy")} - {""}
        assert not any("%(" in text or "?" in text.replace("\u00a0?", "") for text in {told["what"]})
    assert not texts["en"] & texts["fr"]
    assert not texts["it"] & (texts["en"] | texts["fr"])


def typed(case):
    """What somebody filled in."""
    fields = {"encryption": Encryption(case.get("encryption", "starttls"))}
    fields["sender"] = Mailbox.parse(case.get("sender", "office@example.org"))
    for name, field in {"host": "host", "ehlo": "ehlo_name", "pin": "pinned_certificate"}.items():
        if case.get(name):
            fields[field] = case.get(name)
    if case.get("port"):
        fields["port"] = int(case.get("port"))
    if case.get("source_address"):
        fields["source_address"] = case.get("source_address")
    if case.get("password"):
        secret = Secret(spelt(case.get("password")))
        fields |= {"auth": AuthKind.PASSWORD, "login": case.get("login"), "secret": secret}
    if case.get("token_answer"):
        fields |= {"auth": AuthKind.OAUTH2, "login": case.get("login")}
    return fields


def spelt(secret):
    r"""A blank at an edge is written \x20."""
    return secret.replace(r"\x20", " ")


@contextlib.contextmanager
def world_of(case, roots):
    """A server and the way to it."""
    world = case.get("world")
    if world in WORLDS:
        with WORLDS[world](roots) as there:
            yield there
        return
    host = case.get("host", "localhost")
    name = case.get("certificate", "good")
    certificates = {} if name == "good" else {name: certificate_of(name, host)}
    place = {"host": case.get("at"), "port": int(case.get("port"))} if case.get("at") else {}
    server = ScriptedServer(
        case.script, certificate=certificate_of("good", host), certificates=certificates, **place
    )
    with played(server):
        also = filter(None, [case.get("also")])
        yield server, loopback_network(roots, lambda host, port: found_at(server.host, *also))


async def found_at(*addresses):
    return tuple(map(ipaddress.ip_address, addresses))


@contextlib.contextmanager
def no_lookup(error):
    async def lookup(host, port):
        if error is None:
            await asyncio.sleep(60)
        raise error

    yield Nowhere(), loopback_network(lookup=lookup)


@contextlib.contextmanager
def not_permitted(roots):
    with refusing() as server:
        yield server, Network(Guard(ports=frozenset({server.port})), roots=roots)


@contextlib.contextmanager
def no_route(roots):
    """An address for documentation (RFC 3849), where no network leads."""
    guard = Guard(parse_networks("2001:db8::/32"), frozenset({25}))
    yield Port(25), Network(guard, lambda host, port: found_at("2001:db8::25"), roots)


@contextlib.contextmanager
def nobody(port, roots):
    with port() as server:
        yield server, loopback_network(roots)


WORLDS = {
    "unknown host": lambda roots: no_lookup(HostUnknown()),
    "lookup fails": lambda roots: no_lookup(LookupFailed()),
    "lookup hangs": lambda roots: no_lookup(None),
    "not permitted": not_permitted,
    "refused": lambda roots: nobody(refusing, roots),
    "no answer": lambda roots: nobody(black_hole, roots),
    "no route": no_route,
    "no mail server": lambda roots: nobody(refusing, roots),
    "no such local address": lambda roots: nobody(refusing, roots),
}


# The drill itself


def test_every_case_says_where_its_words_are_from():
    assert {case.get("tag") for case in CASES} == TAGS
    for case in CASES:
        source = case.get("source")
        if case.get("tag") == "recorded":
            assert source.startswith(RECORDED_FROM), case.name
        if case.get("tag") == "documented":
            assert source.startswith("https://"), case.name


def test_what_is_tagged_recorded_is_what_the_recorder_makes_and_nothing_else():
    """The file's head says which server was made to fail, and how; both are the recorder's own."""
    told = {recording.name: recording for recording in RECORDINGS}
    recorded = {case.name: case for case in CASES if case.get("tag") == "recorded"}
    assert recorded.keys() == told.keys()
    for name, case in recorded.items():
        made = told[name]
        version, _, what = case.get("source").partition(": ")
        assert (case.get("finding"), what) == (made.finding, made.what), name
        assert re.fullmatch(r"(Postfix|Exim|OpenSMTPD) \d[\w.]+", version), name
        assert {key: case.get(key) for key in made.head} == made.head, name


def test_every_finding_has_a_case():
    assert {case.get("finding") for case in CASES} == {code.value for code in FindingCode}


def test_real_servers_are_in_the_majority_of_what_they_can_be_made_to_say():
    recorded = {case.get("finding") for case in CASES if case.get("tag") == "recorded"}
    servers = {case.get("source").split()[0] for case in CASES if case.get("tag") == "recorded"}
    assert servers == {"Postfix", "Exim", "OpenSMTPD"}
    assert len(recorded) >= 30


def test_every_finding_has_its_section_in_the_documentation():
    findings = (Path(__file__).parents[2] / "docs" / "findings.md").read_text(encoding="utf-8")
    assert all(f"\n### `{code.value}`\n" in findings for code in FindingCode)
