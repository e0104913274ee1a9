"""Which provider an address belongs to: pure choices, and the questions to a real DNS and web server."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import replace

import pytest

from scripted.certificates import the_authority
from scripted.client import LOOPBACK
from scripted.dns import FAILS, SILENT, DnsServer
from scripted.ports import refusing
from scripted.web import WebServer
from vaguemestre.egress import Guard
from vaguemestre.http_transport import HttpTransport
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.providers.autoconfig import Unusable, outgoing_servers
from vaguemestre.providers.discovery import Discovery
from vaguemestre.providers.preset import Server
from vaguemestre.providers.recognition import Login, Service, Why, by_domain, by_mx, by_services

BUREAU = Mailbox.parse("bureau@exemple.example")
DOMAIN = "exemple.example"


# The choices


@pytest.mark.parametrize(
    ("domain", "key"),
    [
        ("gmail.com", "gmail"),
        ("hotmail.fr", "outlook"),
        ("wanadoo.fr", "orange"),
        ("neuf.fr", "sfr"),
        ("alice.it", "tim-alice"),
        ("cliente.pec.it", "aruba-pec"),
        ("contoso.onmicrosoft.com", "microsoft365"),
        ("notgmail.com", None),
        ("example.org", None),
    ],
)
def test_a_domain_of_mailboxes_names_its_provider(domain, key):
    found = by_domain(domain)
    assert (found and found.preset.key) == key


@pytest.mark.parametrize(
    ("hosts", "key"),
    [
        (["exemple-fr.mail.protection.outlook.com"], "microsoft365"),
        (["exemple-fr.b-v1.mx.microsoft"], "microsoft365"),
        (["hotmail-com.olc.protection.outlook.com"], "outlook"),
        (["aspmx.l.google.com", "alt1.aspmx.l.google.com"], "gmail"),
        (["smtp.google.com"], "gmail"),
        (["mx1.mail.ovh.net"], "ovh-mxplan"),
        (["mail.register.it"], "register-it"),
        (["mail-fr.securemail.pro"], "register-it"),
        (["spool.mail.gandi.net"], "gandi"),
        (["mta-gw.infomaniak.ch"], "infomaniak"),
        (["mx00.ionos.fr"], "ionos-fr"),
        (["mx00.kundenserver.de"], "ionos-de"),
        (["mx.zoho.eu"], "zoho-eu"),
        (["mx.pec.aruba.it"], "aruba-pec"),
        (["mx.aruba.it"], "aruba"),
        (["filter.example.net", "mx1.mail.ovh.net"], "ovh-mxplan"),
        (["mx.example.org"], None),
        ([], None),
    ],
)
def test_who_receives_the_mail_names_the_provider(hosts, key):
    found = by_mx(hosts)
    assert (found and found.preset.key) == key


def service(target, port=465, encryption="ssl", priority=0, weight=0):
    return Service(f"_s._tcp.{DOMAIN}", Encryption(encryption), priority, weight, port, target)


def test_of_published_services_implicit_tls_comes_first_then_priority_then_weight():
    offered = [
        service("a.example.org", 587, "starttls"),
        service("d.example.org", priority=10),
        service("b.example.org", priority=5, weight=1),
        service("c.example.org", priority=5, weight=9),
    ]
    assert by_services(offered).server == Server("c.example.org", 465, Encryption.SSL)
    assert by_services(offered[:1]).server == Server("a.example.org", 587, Encryption.STARTTLS)


def test_a_service_that_is_said_not_to_exist_or_has_no_name_is_none():
    assert by_services([service("."), service("-.example.org"), service("a.example.org", 0)]) is None


# The document

CONFIG = b"""<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="exemple.example">
  <incomingServer type="imap"><hostname>imap.exemple.example</hostname><port>993</port></incomingServer>
  <outgoingServer type="smtp"><hostname>plain.exemple.example</hostname><port>25</port>
    <socketType>plain</socketType><username>%EMAILADDRESS%</username></outgoingServer>
  <outgoingServer type="smtp"><hostname>https://not.a.host/</hostname><port>465</port>
    <socketType>SSL</socketType></outgoingServer>
  <outgoingServer type="smtp"><hostname> SMTP.Exemple.example </hostname><port>587</port>
    <socketType>STARTTLS</socketType><username>%EMAILLOCALPART%</username></outgoingServer>
</emailProvider></clientConfig>"""


def test_a_document_gives_its_servers_without_those_that_are_none():
    assert outgoing_servers(CONFIG) == [
        (Server("plain.exemple.example", 25, Encryption.NONE), Login.ADDRESS),
        (Server("smtp.exemple.example", 587, Encryption.STARTTLS), Login.LOCAL_PART),
    ]


TWICE = b"""<clientConfig><emailProvider>
  <outgoingServer type="smtp"><hostname>smtp.<b/>one.example</hostname><hostname>two.example</hostname><port>465</port>
    <port>25</port><socketType>SSL</socketType><socketType>plain</socketType></outgoingServer>
  <outgoingServer type="exchange"><hostname>three.example</hostname><username>%EMAILADDRESS%</username></outgoingServer>
</emailProvider></clientConfig>"""


def test_of_an_element_that_is_there_twice_the_first_counts_as_in_mail_programs_and_no_other_servers_does():
    assert outgoing_servers(TWICE) == [(Server("smtp.one.example", 465, Encryption.SSL), None)]


BOMB = b"""<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]><b>&c;</b>"""
OUTSIDE = b"""<!DOCTYPE b SYSTEM "file:///etc/passwd"><b/>"""


@pytest.mark.parametrize(
    "document",
    [b"", b"<a>", b"\xff\xfe\x00", BOMB, OUTSIDE, b"<a>" * 50 + b"</a>" * 50, b'<?xml encoding="x"?><a/>'],
)
def test_a_document_that_is_none_or_defines_entities_is_refused(document):
    with pytest.raises(Unusable):
        outgoing_servers(document)


# The questions


@pytest.fixture
def dns():
    with DnsServer({}) as server:
        yield server


@pytest.fixture
def discovery(dns):
    return Discovery(resolvers=((dns.address, dns.port),), within=1.0)


async def test_a_domain_whose_mail_google_receives_is_googles(dns, discovery):
    dns.records = {(DOMAIN, "MX"): ["20 alt1.aspmx.l.google.com.", "10 ASPMX.l.google.com."]}
    found = await discovery.propose(BUREAU)
    assert (found.why, found.evidence, found.preset.key) == (Why.MX, "aspmx.l.google.com", "gmail")
    assert found.server == Server("smtp.gmail.com", 465, Encryption.SSL)


async def test_mx_comes_before_srv_and_all_questions_go_out_together(dns, discovery):
    dns.records = {
        (DOMAIN, "MX"): ["10 mx.example.net."],
        (f"_submission._tcp.{DOMAIN}", "SRV"): ["0 1 587 smtp.example.net."],
        (f"_submissions._tcp.{DOMAIN}", "SRV"): ["0 1 465 smtp.example.net."],
    }
    found = await discovery.propose(BUREAU)
    assert (found.why, found.evidence) == (Why.SRV, f"_submissions._tcp.{DOMAIN}")
    assert found.server == Server("smtp.example.net", 465, Encryption.SSL)
    assert {(name, kind) for name, kind, _ in dns.asked} == {
        (DOMAIN, "MX"),
        (f"_submission._tcp.{DOMAIN}", "SRV"),
        (f"_submissions._tcp.{DOMAIN}", "SRV"),
    }


async def test_a_published_server_of_a_known_provider_brings_its_hints(dns, discovery):
    dns.records = {(f"_submissions._tcp.{DOMAIN}", "SRV"): ["0 1 465 mail.gandi.net."]}
    assert (await discovery.propose(BUREAU)).preset.key == "gandi"


async def test_a_domain_of_mailboxes_is_recognised_without_a_question(dns, discovery):
    assert (await discovery.propose(Mailbox.parse("x@gmail.com"))).why == Why.DOMAIN
    assert dns.asked == []


@pytest.mark.parametrize("broken", [FAILS, SILENT])
async def test_a_broken_resolver_finds_nothing_within_its_time(dns, discovery, broken):
    names = (DOMAIN, f"_submission._tcp.{DOMAIN}", f"_submissions._tcp.{DOMAIN}")
    dns.records = {(name, kind): broken for name in names for kind in ("MX", "SRV")}
    started = time.monotonic()
    assert await replace(discovery, within=0.3).propose(BUREAU) is None
    assert time.monotonic() - started < 1.0


async def test_nothing_speaks_for_a_provider_where_nobody_answers():
    with refusing() as nobody:
        assert await Discovery((("127.0.0.1", nobody.port),), within=0.3).propose(BUREAU) is None


# The domain's web server


async def here(_host, _port):
    return (ipaddress.ip_address("127.0.0.1"),)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return str(the_authority().write(tmp_path_factory.mktemp("roots")))


def page(body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def from_web(discovery, roots, *answers, guard=LOOPBACK):
    context = the_authority().certificate(f"autoconfig.{DOMAIN}", DOMAIN).context()
    async with WebServer(*answers, tls=context) as web:
        documents = tuple(
            f"https://{host}:{web.port}/mail/config-v1.1.xml" for host in ("autoconfig.{domain}", "{domain}")
        )
        asking = replace(discovery, transport=HttpTransport(guard, here, roots), documents=documents)
        return await asking.propose(BUREAU), web.requests


async def test_the_domains_own_document_is_asked_last_and_without_the_address(discovery, roots):
    found, requests = await from_web(discovery, roots, page(CONFIG))
    assert found.why == Why.AUTOCONFIG
    assert found.server == Server("smtp.exemple.example", 587, Encryption.STARTTLS)
    assert found.login == Login.LOCAL_PART
    assert len(requests) == 1
    assert "bureau" not in requests[0][0]


async def test_where_the_first_place_has_none_the_second_is_asked(discovery, roots):
    found, requests = await from_web(discovery, roots, page(b"", "404 Not Found"), page(CONFIG))
    assert found.why == Why.AUTOCONFIG
    assert len(requests) == 2


async def test_a_document_out_of_form_or_beyond_the_guard_finds_nothing(discovery, roots):
    assert (await from_web(discovery, roots, page(BOMB)))[0] is None
    found, requests = await from_web(discovery, roots, page(CONFIG), guard=Guard())
    assert (found, requests) == (None, [])


async def test_without_the_operators_word_no_web_server_is_asked(discovery):
    assert discovery.transport is None
    assert await discovery.propose(BUREAU) is None
