"""`vaguemestre provider`, and a connection that is added by its provider."""

from dataclasses import replace

import pytest

from scripted.dns import DnsServer
from vaguemestre.providers.preset import presets

pytestmark = pytest.mark.django_db

ADD = ("connection", "add", "Bureau", "--sender-email", "bureau@exemple.example", "--provider")


def test_the_list_and_one_of_them(command):
    assert len(command("provider", "list", "--json").json) == len(presets())
    shown = command("provider", "show", "gmail").output
    assert "smtp.gmail.com:587 starttls" in shown
    assert "https://support.google.com/a/answer/176600" in shown


def test_a_provider_fills_server_encryption_and_limits_but_not_what_was_said(command):
    added = command(*ADD, "microsoft365", "--per-minute", "20", "--json").json
    assert (added["host"], added["port"], added["encryption"]) == ("smtp.office365.com", 587, "starttls")
    limits = {"max_sessions": 3, "per_minute": 20, "per_day": 10_000, "max_recipients": None}
    assert added["limits"] == limits


def test_a_provider_that_is_none_is_named(command):
    refused = command(*ADD, "nobody")
    assert (refused.status, refused.refusals) == (1, ["provider: There is no provider nobody."])


def test_an_address_is_recognised_by_asking_the_resolver_of_the_environment(command, settings):
    with DnsServer({("exemple.example", "MX"): ["10 spool.mail.gandi.net."]}) as dns:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((dns.address, dns.port),))
        found = command("provider", "recognise", "bureau@exemple.example")
        assert (found.status, found.output.splitlines()[0]) == (0, "host           mail.gandi.net")
        assert "because the mail of this domain is received by Gandi (spool.mail.gandi.net)." in found.output
        assert command("provider", "recognise", "a@nothing.example").status == 1
