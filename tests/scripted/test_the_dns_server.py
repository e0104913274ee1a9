"""The DNS server that other tests rely on."""

import dns.resolver
import pytest

from scripted.dns import FAILS, SILENT, DnsServer

RECORDS = {
    ("example.org", "MX"): ["10 mx.example.org.", "20 mx2.example.org."],
    ("mx.example.org", "A"): ["192.0.2.1"],
    ("alias.example.org", "CNAME"): ["mx.example.org."],
    ("long.example.org", "TXT"): [f'"{number:0250}"' for number in range(40)],
    ("failing.example.org", "A"): FAILS,
    ("silent.example.org", "A"): SILENT,
}


def test_it_answers_over_udp_and_what_is_too_long_over_tcp():
    with DnsServer(RECORDS) as server:
        resolver = server.resolver()
        assert sorted(str(mx) for mx in resolver.resolve("example.org", "MX")) == [
            "10 mx.example.org.",
            "20 mx2.example.org.",
        ]
        assert len(resolver.resolve("long.example.org", "TXT")) == 40
    assert server.asked == [
        ("example.org", "MX", "udp"),
        ("long.example.org", "TXT", "udp"),
        ("long.example.org", "TXT", "tcp"),
    ]


def test_it_tells_an_absent_name_from_an_absent_record_and_follows_an_alias():
    with DnsServer(RECORDS) as server:
        resolver = server.resolver()
        assert [str(a) for a in resolver.resolve("Alias.example.org", "A")] == ["192.0.2.1"]
        with pytest.raises(dns.resolver.NoAnswer):
            resolver.resolve("example.org", "TXT")
        with pytest.raises(dns.resolver.NXDOMAIN):
            resolver.resolve("none.example.org", "MX")


def test_it_fails_and_is_silent_where_it_is_told_to():
    with DnsServer(RECORDS) as server:
        resolver = server.resolver()
        resolver.lifetime = 0.2
        with pytest.raises(dns.resolver.NoNameservers):
            resolver.resolve("failing.example.org", "A")
        with pytest.raises(dns.resolver.LifetimeTimeout):
            resolver.resolve("silent.example.org", "A")
