"""Whose address counts behind a reverse proxy: what our own proxies say, and nothing that a visitor writes."""

from ipaddress import ip_network

import pytest
from django.test import Client

from api.client import key_with
from forms.kit import RIGHT, connect, contact, kept, send, token
from vaguemestre.doors.visitor import visitor

TRUSTED = tuple(map(ip_network, ("127.0.0.0/8", "::1/128", "10.1.0.5/32")))
FAR, SPOOFED = "203.0.113.9", "198.51.100.1"


@pytest.mark.parametrize(
    ("near", "forwarded", "wanted"),
    [
        ("192.0.2.7", SPOOFED, "192.0.2.7"),
        ("127.0.0.1", FAR, FAR),
        ("127.0.0.1", f"{SPOOFED}, {FAR}", FAR),
        ("127.0.0.1", f"{SPOOFED},{FAR}, 10.1.0.5", FAR),
        ("127.0.0.1", f"{FAR}, 10.1.0.6", "10.1.0.6"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:127.0.0.1", f"::ffff:{FAR}", FAR),
        ("10.1.0.5", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", f"{SPOOFED}, unknown", "127.0.0.1"),
        ("127.0.0.1", f"{SPOOFED}, 10.1.0.5:443", "127.0.0.1"),
        ("127.0.0.1", ",", "127.0.0.1"),
        ("", FAR, ""),
    ],
)
def test_the_last_address_that_is_no_proxy_of_ours_counts(near, forwarded, wanted):
    assert visitor(near, forwarded, TRUSTED) == wanted


def statuses(form, near, chains):
    client = Client(REMOTE_ADDR=near)
    return [
        send(
            form,
            RIGHT | {"message": f"{near} {chain}", "_token": token(form)},
            client=client,
            x_forwarded_for=chain,
        ).status_code
        for chain in chains
    ]


@pytest.mark.django_db
def test_a_written_header_gets_nobody_past_the_limit_of_an_address(settings):
    """The public address is one of https; the header is believed of the proxy on this machine alone."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    connect()
    form = contact(per_address=2)
    spoofed = [f"198.51.100.{number}" for number in range(4)]
    assert statuses(form, "192.0.2.7", spoofed) == [303, 303, 429, 429]
    behind = [f"{one}, {FAR}" for one in spoofed]
    assert statuses(form, "127.0.0.1", behind) == [303, 303, 429, 429]
    assert statuses(form, "127.0.0.1", ["203.0.113.10"]) == [303]
    assert len(kept()) == 5


@pytest.mark.django_db
def test_the_networks_of_a_key_hold_behind_the_proxy():
    """All that comes through it has its address: a key for this machine alone was good for everybody."""
    here = key_with("send", networks=["127.0.0.0/8"])
    assert here.get("/messages").status_code == 200
    assert here.get("/messages", X_Forwarded_For=FAR).status_code == 403
    there = key_with("send", networks=["203.0.113.0/24"])
    assert there.get("/messages", X_Forwarded_For=f"{SPOOFED}, {FAR}").status_code == 200
    assert there.get("/messages", X_Forwarded_For=f"{FAR}, {SPOOFED}").status_code == 403
