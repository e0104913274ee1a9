"""The guard lets nothing inside be dialled, however it is spelt (faults 4, 2.1), and says nothing about it."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre import egress
from vaguemestre.egress import (
    USUAL_PORTS,
    Guard,
    HostUnknown,
    LookupFailed,
    NotPermitted,
    parse_networks,
    parse_ports,
    system_lookup,
)
from vaguemestre.mail.errors import Invalid
from vaguemestre.smtp.network import Network

CLOSED = Guard()

INSIDE = [
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.127.255.254",
    "100.100.100.200",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "::",
    "::1",
    "::127.0.0.1",
    "::10.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.1.2.3",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:808:808::1",
    "2002:c0a8:101::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "5f00::1",
    "fe80::1",
    "fe80::1%1",
    "febf::1",
    "fec0::1",
    "feff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd12:3456::1",
    "ff02::1",
    "ff0e::1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:c0a8:101",
]

OUTSIDE = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.1",
    "2606:4700::1",
    "2a00:1450:4001::1b",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]

SPELLINGS = [
    "localhost",
    "ip6-localhost",
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "127.00.00.01",
    "::1",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "[::1]",
    "10.1",
    "167772161",
    "0xa000001",
    "012.0.0.1",
    "192.168.257",
    "3232235777",
    "0xc0a80101",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "169.16689406",
    "::ffff:a9fe:a9fe",
    "::ffff:0:0",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
    "fec0::1",
    "224.0.0.1",
    "ｌocalhost",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "１２７.0.0.1",
    "⑫⑦.0.0.1",
    "100.64.1",
    "fe80::1",
    "LOCALHOST",
    "0000000177.0.0.1",
    "255.255.255.255",
    "0300.0250.1.1",
    "172.1048577",
]


@pytest.mark.parametrize("text", INSIDE)
def test_an_inner_or_special_address_is_not_dialled(text):
    assert not CLOSED.permits(ipaddress.ip_address(text), 25)


@pytest.mark.parametrize("text", OUTSIDE)
def test_a_public_address_may_be_dialled(text):
    assert CLOSED.permits(ipaddress.ip_address(text), 587)
    assert not CLOSED.permits(ipaddress.ip_address(text), 22)


def test_there_are_forty_spellings():
    assert len(set(SPELLINGS)) >= 40


async def test_no_spelling_of_an_inner_address_is_dialled():
    connections = 0

    async def accept(reader, writer):
        nonlocal connections
        connections += 1
        writer.close()

    dialled = []
    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        network = Network(Guard(ports=frozenset({port})))
        for host in [*SPELLINGS, "127.0.0.1\0.example.com"]:
            try:
                addresses = await network.resolve(host, port)
            except (NotPermitted, HostUnknown, LookupFailed, ValueError):
                continue
            dialled.append((host, addresses))
        for text in INSIDE:
            with pytest.raises(NotPermitted):
                await network.dial((ipaddress.ip_address(text),), port, within=1)
    assert (dialled, connections) == ([], 0)


@given(st.ip_addresses(v=4))
def test_an_address_carried_in_another_is_judged_as_itself(carried):
    value = int(carried)
    permitted = CLOSED.permits(carried, 25)
    assert CLOSED.permits(ipaddress.IPv6Address((0xFFFF << 32) | value), 25) == permitted
    assert CLOSED.permits(ipaddress.IPv6Address((0x64FF9B << 96) | value), 25) == permitted
    sixtofour = ipaddress.IPv6Address((0x2002 << 112) | (value << 80) | 1)
    assert Guard(parse_networks("2002::/16")).permits(sixtofour, 25) == permitted


@pytest.mark.parametrize(
    ("allow", "address", "permitted"),
    [
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", True),
        ("127.0.0.0/8", "::1", False),
        ("127.0.0.0/8", "10.0.0.1", False),
        ("127.0.0.0/8", "::127.0.0.1", False),
        ("10.1.0.0/16", "10.1.2.3", True),
        ("10.1.0.0/16", "10.2.2.3", False),
        ("100.64.0.0/10", "100.64.0.1", True),
        ("100.64.0.0/10", "100.100.100.200", False),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "fd00:ec2::254", False),
        ("fd00:ec2::254/128", "fd00:ec2::254", True),
        ("0.0.0.0/0", "10.0.0.1", True),
        ("0.0.0.0/0", "169.254.169.254", False),
        ("0.0.0.0/0", "169.254.7.7", False),
        ("0.0.0.0/0", "224.0.0.1", False),
        ("0.0.0.0/0", "0.0.0.0", False),
        ("0.0.0.0/0", "255.255.255.255", False),
        ("::/0", "::", False),
        ("::/0", "ff02::1", False),
        ("::/0", "fe80::1", False),
        ("::/0", "::ffff:10.0.0.1", False),
        ("::/0", "64:ff9b:1::a00:1", False),
        ("169.254.0.0/16", "169.254.7.7", True),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("fe80::/10", "fe80::1", True),
    ],
)
def test_what_the_environment_allows(allow, address, permitted):
    assert Guard(parse_networks(allow)).permits(ipaddress.ip_address(address), 25) is permitted


def finding(*texts):
    async def lookup(host, port):
        return tuple(ipaddress.ip_address(text) for text in texts)

    return lookup


async def test_refused_addresses_are_dropped_and_the_order_stays():
    found = await CLOSED.resolve(
        finding("10.0.0.1", "2606:4700::1", "8.8.8.8", "::1", "8.8.8.8"), "mx.example.org", 25
    )
    assert [str(address) for address in found] == ["2606:4700::1", "8.8.8.8"]


async def test_a_name_with_fifty_addresses_is_dialled_at_eight():
    found = await CLOSED.resolve(finding(*(f"8.8.8.{last}" for last in range(50))), "mx.example.org", 25)
    assert len(found) == 8


async def test_a_refusal_is_the_same_for_every_inner_address():
    refusals = set()
    for text in INSIDE:
        with pytest.raises(NotPermitted) as refused:
            await CLOSED.resolve(finding(text), "inner.example.org", 25)
        refusals.add((str(refused.value), repr(refused.value), refused.value.args))
    assert refusals == {(str(NotPermitted()), repr(NotPermitted()), NotPermitted().args)}


async def test_a_port_that_is_not_allowed_is_refused_before_any_lookup():
    async def lookup(host, port):
        raise AssertionError("looked up")

    with pytest.raises(NotPermitted):
        await CLOSED.resolve(lookup, "mx.example.org", 22)


async def test_a_literal_is_not_looked_up():
    async def lookup(host, port):
        raise AssertionError("looked up")

    assert await CLOSED.resolve(lookup, "8.8.8.8", 25) == (ipaddress.ip_address("8.8.8.8"),)


async def test_u01_an_unknown_name_says_so():
    with pytest.raises(HostUnknown):
        await CLOSED.resolve(system_lookup, "no-such-host.invalid", 25)


async def test_hung_lookups_fill_no_other_pool(monkeypatch):
    released = threading.Event()

    def hang(*_, **__):
        released.wait(10)
        return []

    monkeypatch.setattr(egress.socket, "getaddrinfo", hang)
    lookups = [asyncio.ensure_future(system_lookup("hung.example.org", 25)) for _ in range(40)]
    await asyncio.sleep(0.05)
    assert sum(thread.name.startswith("lookup-") for thread in threading.enumerate()) <= egress.LOOKUP_THREADS
    started = time.monotonic()
    assert await asyncio.to_thread(lambda: 7) == 7
    assert time.monotonic() - started < 1
    for lookup in lookups:
        lookup.cancel()
    await asyncio.gather(*lookups, return_exceptions=True)
    released.set()


def test_ports_are_numbers_and_ranges():
    ports = parse_ports("25, 465,2000-2003,")
    assert [port for port in range(70_000) if port in ports] == [25, 465, 2000, 2001, 2002, 2003]
    assert parse_ports("25,465,587,2465,2525,2587") == USUAL_PORTS


def test_all_ports_are_not_kept_one_by_one():
    assert parse_ports("1-65535").ranges == (range(1, 65536),)


@pytest.mark.parametrize("text", ["x", "0", "65536", "30-20", "1-", "-1", "1,2,x", "25-70000", "２５"])
def test_bad_ports_are_refused(text):
    with pytest.raises(Invalid, match="is not a port or a range"):
        parse_ports(text)


def test_networks_are_read():
    assert [str(network) for network in parse_networks("127.0.0.0/8, fd00::/8,10.0.0.1")] == [
        "127.0.0.0/8",
        "fd00::/8",
        "10.0.0.1/32",
    ]


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "1.2.3"])
def test_bad_networks_are_refused(text):
    with pytest.raises(Invalid, match="not a list of networks"):
        parse_networks(text)
