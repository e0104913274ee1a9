"""`vaguemestre connection deliverability`: words for people, JSON for programs, a status for both."""

from dataclasses import replace

import pytest

from scripted.dns import DnsServer

pytestmark = pytest.mark.django_db

ADD = ("connection", "add", "Office", "--sender-email", "office@example.org", "--host", "smtp.gmail.com")
IN_ORDER = {
    ("example.org", "MX"): ["10 smtp.google.com."],
    ("example.org", "TXT"): ['"v=spf1 include:_spf.google.com ~all"'],
    ("_spf.google.com", "TXT"): ['"v=spf1 ip4:198.51.100.0/24 ~all"'],
    ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=none"'],
}


def test_the_points_are_printed_and_an_error_among_them_is_the_status(command, settings):
    command(*ADD)
    with DnsServer(IN_ORDER) as dns:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((dns.address, dns.port),))
        fine = command("connection", "deliverability", "Office")
        assert fine.status == 0
        assert "info: SPF lets this server send\n  The record of example.org covers" in fine.output
        del dns.records["example.org", "TXT"]
        bad = command("connection", "deliverability", "Office")
        assert (bad.status, bad.refusals) == (1, [])
        assert bad.output.startswith("error: example.org has no SPF record\n")
        assert "  example.org TXT v=spf1 include:_spf.google.com ~all\n" in bad.output
        as_json = command("connection", "deliverability", "Office", "--json").json
        assert as_json["points"][0]["code"] == "spf_missing"
