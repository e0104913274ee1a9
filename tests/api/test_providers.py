"""Providers over HTTP: the list, and which one an address belongs to."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from api.client import key_with
from scripted.dns import DnsServer
from vaguemestre.providers import discovery


@pytest.fixture
def dns(settings):
    with DnsServer({("exemple.example", "MX"): ["10 aspmx.l.google.com."]}) as server:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((server.address, server.port),))
        yield server


def test_the_list_holds_each_provider_with_hints_in_the_readers_language(api):
    page = api.get("/providers?limit=200", Accept_Language="fr").json()
    found = {one["key"]: one for one in page["items"]}
    assert page["next"] is None
    assert found["gmail"]["host"] == "smtp.gmail.com"
    assert found["gmail"]["login_hint"] == "L’adresse email entière."
    assert found["microsoft365"]["limits"] == {"max_sessions": 3, "per_minute": 30, "per_day": 10_000}
    assert api.get("/providers?limit=1").json()["next"] == "1"


def test_an_address_brings_settings_and_says_why(api, dns):
    found = api.post("/providers/recognise", {"sender_email": "bureau@exemple.example"}).json()
    assert (found["found"], found["why"], found["provider"]["key"]) == (True, "mx", "gmail")
    assert (found["host"], found["port"], found["encryption"]) == ("smtp.gmail.com", 465, "ssl")
    assert found["text"] == (
        "because the mail of this domain is received by Gmail, Google Workspace (aspmx.l.google.com)"
    )


def test_an_address_of_which_nothing_is_known_brings_nothing(api, dns):
    found = api.post("/providers/recognise", {"sender_email": "a@nothing.example"}).json()
    assert found["found"] is False
    assert {found[name] for name in ("why", "provider", "host", "port", "encryption", "login")} == {None}


def test_what_is_no_address_is_refused_at_its_field(api, dns):
    answer = api.post("/providers/recognise", {"sender_email": "nobody"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "sender_email"
    assert dns.asked == []


def test_only_a_key_for_connections_may_ask(db):
    assert key_with("send").get("/providers").status_code == 403


def test_too_many_at_once_are_429_and_a_domain_that_is_known_is_answered(api, dns):
    asked = {"sender_email": "bureau@exemple.example"}
    with ExitStack() as taken:
        for _ in range(discovery.AT_ONCE):
            assert discovery._places.acquire(blocking=False)
            taken.callback(discovery._places.release)
        refused = api.post("/providers/recognise", asked)
        assert (refused.status_code, refused["Retry-After"]) == (429, "5")
        assert api.post("/providers/recognise", {"sender_email": "a@gmail.com"}).json()["found"] is True
        assert dns.asked == []
    assert api.post("/providers/recognise", asked).json()["why"] == "mx"
