"""Deliverability over HTTP: the points in words, the record to publish, and a bound on how many run at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripted.dns import DnsServer
from vaguemestre.deliverability import examination

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]


@pytest.fixture
def dns(settings):
    with DnsServer({("example.org", "MX"): ["10 mx.example.org."]}) as server:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((server.address, server.port),))
        yield server


def test_the_points_are_told_in_the_language_that_is_asked_for(api, office, dns):
    path = f"/connections/{office.uid}/deliverability"
    body = api.get(path).json()
    assert body["domain"] == "example.org"
    codes = {point["code"]: point for point in body["points"]}
    assert codes["dmarc_missing"]["what"] == "example.org has no DMARC record"
    assert codes["dmarc_missing"]["record"] == {
        "name": "_dmarc.example.org",
        "type": "TXT",
        "value": "v=DMARC1; p=none",
    }
    assert codes["mx_ok"]["record"] is None
    french = api.get(path, Accept_Language="fr").json()
    assert "example.org n’a pas d’enregistrement DMARC" in {point["what"] for point in french["points"]}


def test_too_many_at_once_is_a_429(api, office, dns):
    for _ in range(examination.AT_ONCE):
        examination._places.acquire()
    try:
        assert api.get(f"/connections/{office.uid}/deliverability").status_code == 429
    finally:
        for _ in range(examination.AT_ONCE):
            examination._places.release()


def test_a_connection_that_is_not_there_is_a_404(api):
    assert api.get("/connections/nobody/deliverability").status_code == 404
