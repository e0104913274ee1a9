"""The one HTTP transport: the guard before the dial, names kept, no redirect, limits of time and size."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time

import pytest

from scripted.certificates import Authority, the_authority
from scripted.web import WebServer
from vaguemestre.egress import Guard, HostUnknown, LookupFailed, parse_networks
from vaguemestre.http_transport import Address, HttpFailed, HttpTransport, Request
from vaguemestre.mail.errors import Invalid

ANY_PORT = frozenset(range(1, 65536))
LOOPBACK = Guard(parse_networks("127.0.0.0/8,::1/128"), ANY_PORT)
HERE = ipaddress.ip_address("127.0.0.1")


def lookup_of(*addresses):
    asked = []

    async def lookup(host, port):
        asked.append((host, port))
        return tuple(map(ipaddress.ip_address, addresses or ("127.0.0.1",)))

    lookup.asked = asked
    return lookup


def post(server, body=b"{}", *, scheme="http", host="alerts.example.org", path="/hook?key=x", **headers):
    address = Address.parse(f"{scheme}://{host}:{server.port}{path}")
    return Request("POST", address, {"Content-Type": "application/json", **headers}, body)


async def failure(transport, request, **limits) -> str:
    with pytest.raises(HttpFailed) as failed:
        await transport.send(request, **limits)
    return failed.value.why


@pytest.fixture
def transport():
    return HttpTransport(LOOPBACK, lookup_of())


@pytest.fixture(scope="session")
def roots(tmp_path_factory):
    return str(the_authority().write(tmp_path_factory.mktemp("roots")))


# What is written and read


async def test_a_request_says_what_it_was_given_and_whose_host_it_wants(transport):
    async with WebServer() as server:
        answer = await transport.send(post(server, b'{"a": 1}'))
    (head, body) = server.requests[0]
    assert (answer.status, answer.body, body) == (202, b"", b'{"a": 1}')
    assert head.splitlines() == [
        "POST /hook?key=x HTTP/1.1",
        f"Host: alerts.example.org:{server.port}",
        "User-Agent: Vaguemestre",
        "Accept-Encoding: identity",
        "Connection: close",
        "Content-Length: 8",
        "Content-Type: application/json",
        "",
    ]


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
async def test_an_answer_ends_where_it_says_though_the_server_keeps_the_connection(transport, raw, body):
    async with WebServer(raw, keep_open=True) as server:
        started = time.monotonic()
        assert (await transport.send(post(server))).body == body
        assert time.monotonic() - started < 2


async def test_an_answer_without_a_length_ends_with_the_connection(transport):
    async with WebServer(b"HTTP/1.0 200 OK\r\nX-Kind: a\r\n\r\nall of it") as server:
        answer = await transport.send(post(server))
    assert (answer.body, answer.headers["x-kind"]) == (b"all of it", "a")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_an_answer_and_not_followed(transport, status):
    async with WebServer() as other:
        location = f"http://alerts.example.org:{other.port}/"
        raw = f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        async with WebServer(raw) as server:
            assert (await transport.send(post(server))).status == status
        assert other.requests == []


# The guard (L10)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "alerts.example.org"])
async def test_loopback_is_refused_unless_the_operator_allows_it(host):
    guarded = HttpTransport(Guard(ports=ANY_PORT), lookup_of())
    async with WebServer() as server:
        assert await failure(guarded, post(server, host=host)) == "not_permitted"
        assert server.requests == []
        allowed = HttpTransport(LOOPBACK, lookup_of())
        assert (await allowed.send(post(server, host="127.0.0.1"))).status == 202


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "64:ff9b::7f00:1", "::ffff:10.0.0.1", "0.0.0.0"]
)
async def test_a_name_that_means_a_private_address_is_refused(address):
    guarded = HttpTransport(Guard(ports=ANY_PORT), lookup_of(address))
    request = Request("POST", Address.parse("http://innocent.example.org/"))
    assert await failure(guarded, request) == "not_permitted"


async def test_a_port_that_is_not_allowed_is_not_even_looked_up():
    lookup = lookup_of()
    guarded = HttpTransport(Guard(parse_networks("127.0.0.0/8"), frozenset({443})), lookup)
    assert (
        await failure(guarded, Request("GET", Address.parse("http://a.example.org:25/"))) == "not_permitted"
    )
    assert lookup.asked == []


async def test_a_name_is_looked_up_once_and_the_judged_address_is_dialled():
    """A name that answers otherwise the second time (rebinding) gains nothing."""
    answers = [(HERE,), (ipaddress.ip_address("10.0.0.1"),)]

    async def lookup(host, port):
        return answers.pop(0)

    async with WebServer() as server:
        await HttpTransport(LOOPBACK, lookup).send(post(server))
    assert len(answers) == 1


async def test_the_next_address_is_tried_where_one_does_not_answer():
    async with WebServer() as server:
        answer = await HttpTransport(LOOPBACK, lookup_of("127.0.0.9", "127.0.0.1")).send(post(server))
    assert answer.status == 202


# TLS


async def test_the_name_is_kept_for_sni_and_certificate(roots):
    tls = the_authority().certificate("alerts.example.org").context()
    async with WebServer(tls=tls) as server:
        answer = await HttpTransport(LOOPBACK, lookup_of(), roots).send(post(server, scheme="https"))
    assert (answer.status, server.names) == (202, ["alerts.example.org"])


@pytest.mark.parametrize(
    "certificate",
    [
        lambda: the_authority().certificate("other.example.org"),
        lambda: Authority().certificate("alerts.example.org"),
    ],
    ids=["wrong_name", "unknown_authority"],
)
async def test_a_certificate_that_does_not_fit_gets_nothing(roots, certificate):
    async with WebServer(tls=certificate().context()) as server:
        transport = HttpTransport(LOOPBACK, lookup_of(), roots)
        assert await failure(transport, post(server, scheme="https")) == "certificate"
    assert server.requests == []


async def test_tls_towards_a_server_that_speaks_none(roots):
    async with WebServer() as server:
        transport = HttpTransport(LOOPBACK, lookup_of(), roots)
        assert await failure(transport, post(server, scheme="https"), within=2) in {"tls", "timeout"}


async def test_tls_below_1_2_is_not_spoken(roots):
    tls = the_authority().certificate("alerts.example.org").context()
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    async with WebServer(tls=tls) as server:
        transport = HttpTransport(LOOPBACK, lookup_of(), roots)
        assert await failure(transport, post(server, scheme="https")) in {"tls", "unreachable"}


# Failures, in time and within bounds


async def test_a_server_that_is_silent_costs_the_deadline_and_no_more(transport):
    async with WebServer(delay=30) as server:
        started = time.monotonic()
        assert await failure(transport, post(server), within=0.3) == "timeout"
        assert time.monotonic() - started < 2


async def test_a_server_that_drips_meets_the_same_deadline(transport):
    async def drip(reader, writer):
        for octet in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
            writer.write(bytes([octet]))
            await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    server.port = server.sockets[0].getsockname()[1]
    async with server:
        assert await failure(transport, post(server), within=0.4) == "timeout"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 80_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 80_000,
    ],
)
async def test_an_answer_has_a_size(transport, raw):
    async with WebServer(raw) as server:
        assert await failure(transport, post(server)) == "too_large"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "lost"),
        (b"220 mx.example.org ESMTP\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n", "malformed"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "malformed"),
    ],
)
async def test_what_is_no_answer_is_named(transport, raw, why):
    async with WebServer(raw) as server:
        assert await failure(transport, post(server)) == why


@pytest.mark.parametrize(
    ("error", "why"), [(HostUnknown("x"), "host_unknown"), (LookupFailed("x"), "lookup_failed")]
)
async def test_a_name_that_is_not_found_is_named(error, why):
    async def lookup(host, port):
        raise error

    assert (
        await failure(HttpTransport(LOOPBACK, lookup), Request("GET", Address.parse("http://a.test/"))) == why
    )


async def test_a_port_where_nobody_listens(transport):
    async with WebServer() as server:
        request = post(server)
    assert await failure(transport, request) == "unreachable"


# Addresses and headers


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://alerts.example.org", (True, "alerts.example.org", 443, "/")),
        ("http://Alerts.Example.Org:8080/a?b=c", (False, "alerts.example.org", 8080, "/a?b=c")),
        ("https://münchen.example/x", (True, "xn--mnchen-3ya.example", 443, "/x")),
        ("http://[::1]:9/", (False, "::1", 9, "/")),
    ],
)
def test_a_web_address_has_its_parts(url, parts):
    address = Address.parse(url)
    assert (address.secure, address.host, address.port, address.target) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "alerts.example.org",
        "ftp://example.org/",
        "https://",
        "https://me:secret@example.org/",
        "https://example.org/#part",
        "https://example.org:0/",
        "https://example.org:x/",
        "https://example.org/a b",
        "https://exam\nple.org/",
        " https://example.org/",
        "https://example.org/é",
        "https://2130706433/",
        "https://0x7f000001/",
        "http://[",
    ],
)
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(Invalid):
        Address.parse(url)


def test_a_secret_path_is_in_no_repr():
    address = Address.parse("https://hooks.example.org/services/kanarienvogel")
    assert "kanarienvogel" not in repr(address) + repr(Request("POST", address))


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"X-A": "b\r\nEvil: 1"}),
        ("POST", {"X\nA": "b"}),
        ("POST", {"X-A": "é"}),
        ("PO ST", {}),
        ("POST\r\n", {}),
    ],
)
def test_nothing_gets_into_a_request_that_was_not_meant(method, headers):
    with pytest.raises(ValueError, match="character"):
        Request(method, Address.parse("http://example.org/"), headers).wire()
