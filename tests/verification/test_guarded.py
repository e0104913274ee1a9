"""Verify is no port scanner (faults 4, 2.1): what the guard refuses is answered alike, and never dialled."""

from __future__ import annotations

import gc
import ipaddress
import json
import threading
from collections.abc import Container
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from api.client import ALL, key_with
from egress.test_guard import SPELLINGS
from scripted.certificates import the_authority
from scripted.client import loopback_network
from scripted.server import ScriptedServer
from scripted.sink import SinkServer
from vaguemestre.dialling import network_from
from vaguemestre.egress import USUAL_PORTS, Guard, Ports
from vaguemestre.environment import read_environment
from vaguemestre.smtp.network import Network
from vaguemestre.verification.probe import as_json
from vaguemestre.verification.wording import words
from verification.trial import draft_to, outcome, played

pytestmark = pytest.mark.django_db

REFUSED = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.192",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fe80::1",
    "fec0::1",
    "fd00:ec2::254",
    "ff02::1",
]


def network_to(port: int, *addresses: str, ports: Container[int] | None = None) -> Network:
    """What the operator allows by default, but for the port; every name has these addresses."""

    async def lookup(host, name_port):
        return tuple(ipaddress.ip_address(address) for address in addresses)

    return Network(Guard(ports=frozenset({port}) if ports is None else ports), lookup)


def answer(draft, network) -> str:
    """All that whoever asks gets to see, but the time a step took."""
    body = as_json(outcome(draft, network), words)
    for step in body["steps"]:
        assert step.pop("elapsed_ms") < 100
    return json.dumps(body, sort_keys=True)


def test_every_refused_address_and_port_has_the_same_answer_and_no_connection():
    with SinkServer().in_thread() as sink:
        draft = draft_to(sink, host="mail.example.org")
        answers = {answer(draft, network_to(sink.port, address)) for address in REFUSED}
        answers.add(answer(draft, network_to(sink.port, *REFUSED)))
        answers.add(answer(draft, network_to(sink.port, "127.0.0.1", ports=USUAL_PORTS)))
        answers.add(answer(draft, network_to(sink.port, "8.8.8.8", ports=USUAL_PORTS)))
        assert len(answers) == 1
        assert "address_not_permitted" in answers.pop()
        assert sink.sessions == 0


DIALS = {"connect", "connect_ex", "bind", "sendto", "getaddrinfo", "gethostbyname"}  # of C


@contextmanager
def followed():
    """Which of our functions a dialogue's thread runs, in order, but for the judgement; and which dials it makes."""
    way, dials, dialogues = [], [], set()

    def follow(frame, event, arg):
        if frame.f_code.co_qualname == "_Dialogue._serve":
            dialogues.add(threading.get_ident())
        if threading.get_ident() not in dialogues:
            return
        if event == "c_call" and arg.__name__ in DIALS:
            dials.append(arg.__name__)
        file = frame.f_code.co_filename
        if event == "call" and "/vaguemestre/" in file and not file.endswith("egress.py"):
            way.append(frame.f_code.co_qualname)

    gc.collect()
    gc.disable()  # what it clears away would run on the way
    threading.setprofile(follow)
    try:
        yield way, dials
    finally:
        threading.setprofile(None)
        gc.enable()


def test_whatever_is_refused_is_answered_on_the_same_way_and_without_any_dial():
    """So that time tells nothing of what stands there: there is nothing that takes time, and no other way."""

    def the_way(draft, network):
        way.clear(), dials.clear()
        outcome(draft, network)
        return tuple(way), tuple(dials)

    with SinkServer().in_thread() as sink, followed() as (way, dials):
        named = draft_to(sink, host="mail.example.org")
        ways = [the_way(named, network_to(sink.port, address)) for address in REFUSED]
        ways.append(the_way(named, network_to(sink.port, *REFUSED)))
        ways.append(the_way(named, network_to(sink.port, "8.8.8.8", ports=USUAL_PORTS)))
        ways.append(the_way(draft_to(sink, host="127.0.0.1"), network_to(sink.port)))
        assert sink.sessions == 0
        allowed = Guard((ipaddress.ip_network("127.0.0.0/8"),), frozenset({sink.port}))
        longer, dialled = the_way(draft_to(sink), Network(allowed))
        assert sink.sessions == 1
    assert len(set(ways)) == 1
    refused, none = ways[0]
    assert ("bring_up" in refused, none) == (True, ())
    assert "connect" in dialled  # the search finds one where there is one
    assert len(longer) > len(refused)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254"])
def test_an_address_typed_in_place_of_a_name_is_judged_alike(address):
    with SinkServer().in_thread() as sink:
        told = answer(draft_to(sink, host=address), network_to(sink.port))
        assert "address_not_permitted" in told
        assert sink.sessions == 0


@pytest.mark.parametrize("saved", [False, True], ids=["as typed", "as saved"])
def test_the_api_answers_alike_for_every_spelling_of_an_inner_address(settings, saved):
    api = key_with(*ALL)
    with SinkServer().in_thread() as sink:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, egress_allow="", egress_ports=str(sink.port))
        told = partial(answered, api, sink.port, saved=saved)
        answers = {told(name, host) for name, host in enumerate(SPELLINGS)}
        assert sink.sessions == 0
    assert answers <= {NOT_A_NAME, NO_SUCH_NAME, NOT_PERMITTED}
    assert {NOT_A_NAME, NOT_PERMITTED} <= answers


NOT_A_NAME = "422 This is not a server's name; it looks like smtp.example.org."
NO_SUCH_NAME = "200 There is no server named HOST"  # ip6-localhost, where /etc/hosts does not have it
NOT_PERMITTED = "200 This installation may not connect to HOST, port PORT"


def answered(api, port, name, host, *, saved):
    """What the API says, but for the host and the port that were typed."""
    values = {"sender_email": "office@example.org", "host": host, "port": port, "encryption": "none"}
    if not saved:
        response = api.post("/connections/verify", values)
    else:
        made = api.post("/connections", values | {"name": str(name)})
        response = made if made.status_code == 422 else api.post(f"/connections/{made.json()['id']}/verify")
    told = response.json()
    if response.status_code == 422:
        return f"422 {told['errors'][0]['message']}"
    (step,) = told["steps"]
    assert step["elapsed_ms"] < 100
    assert (step["phase"], step["reply"], told["seen_address"]) == ("resolve", None, None)
    what = told["findings"][0]["what"]
    return f"200 {what.replace(step['sent'].removeprefix('resolve '), 'HOST').replace(str(port), 'PORT')}"


def test_an_allowed_address_beside_a_refused_one_is_the_only_one_dialled(roots):
    async def lookup(host, port):
        return (ipaddress.ip_address("127.0.0.9"), ipaddress.ip_address("127.0.0.1"))

    with SinkServer().in_thread() as sink:
        guard = Guard((ipaddress.ip_network("127.0.0.1/32"),), frozenset({sink.port}))
        found = outcome(draft_to(sink), Network(guard, lookup, roots))
    assert found.ok
    assert [step.detail for step in found.steps[:2]] == ["127.0.0.1", "127.0.0.1"]


def test_words_of_what_is_no_mail_server_are_in_no_answer():
    with played(ScriptedServer("S: +OK redis-like internal banner 10.1.2.3\n@close any")) as server:
        body = as_json(outcome(draft_to(server), loopback_network()), words)
    assert body["findings"][0]["code"] == "not_smtp"
    assert "banner" not in json.dumps(body)


# The network that the environment sets


def environment(**variables: str):
    return read_environment({f"VAGUEMESTRE_{name}": value for name, value in variables.items()})


def test_by_default_only_public_addresses_and_the_usual_ports_are_dialled():
    network = network_from(environment())
    assert network.guard == Guard((), USUAL_PORTS)
    assert network.roots == ""


def test_the_environment_opens_networks_ports_and_authorities(tmp_path):
    pem = the_authority().write(tmp_path)
    network = network_from(
        environment(
            EGRESS_ALLOW="127.0.0.0/8, 10.1.0.0/16", EGRESS_PORTS="25,2000-2002", EXTRA_ROOTS=str(pem)
        )
    )
    assert network.guard.ports == Ports((range(25, 26), range(2000, 2003)))
    assert network.guard.permits(ipaddress.ip_address("10.1.2.3"), 25)
    assert not network.guard.permits(ipaddress.ip_address("10.2.2.3"), 25)
    assert network.roots == str(pem)


@pytest.mark.parametrize("name", ["EGRESS_ALLOW", "EGRESS_PORTS"])
def test_what_the_environment_cannot_mean_allows_nothing(name):
    faulty = environment(**{name: "everything"})
    assert [problem.field for problem in faulty.problems] == [f"VAGUEMESTRE_{name}"]
    assert network_from(faulty).guard == Guard((), USUAL_PORTS)
