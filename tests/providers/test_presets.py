"""The facts about providers: all of them can be read, and none of them is out of form."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from vaguemestre.egress import USUAL_PORTS
from vaguemestre.http_transport import Address
from vaguemestre.ledger import fields
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host
from vaguemestre.providers.preset import LIMITS, preset, preset_of_host, presets

ALL = list(presets().values())
# The table of providers that the product promises (providers-and-libraries 4.4).
PROMISED = [
    "microsoft365",
    "outlook",
    "gmail",
    "google-relay",
    "ses-eu-west-3",
    "ses-eu-central-1",
    "ses-eu-south-1",
    "brevo",
    "mailjet",
    "scaleway-tem",
    "mailgun",
    "mailgun-eu",
    "sendgrid",
    "postmark",
    "resend",
    "mailersend",
    "mailtrap",
    "smtp2go",
    "sparkpost",
    "ovh-mxplan",
    "ovh-emailpro",
    "ovh-exchange",
    "ionos-fr",
    "ionos-it",
    "ionos-de",
    "ionos-com",
    "infomaniak",
    "gandi",
    "orange",
    "sfr",
    "free",
    "laposte",
    "aruba",
    "aruba-pec",
    "libero",
    "virgilio",
    "tim",
    "fastweb",
    "tiscali",
    "zoho-eu",
    "zoho",
    "hetzner",
    "strato",
    "gmx",
    "fastmail",
    "proton",
    "postfix-local",
]

FRONT_PAGES = {"sfr", "aruba-pec"}  # whose page about mail programs has no address that is known to last

each = pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)


def test_every_provider_of_the_table_is_there():
    assert not {*PROMISED} - presets().keys()
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", key) for key in presets())


@each
def test_its_servers_are_canonical_and_the_guard_permits_their_ports(one):
    assert one.servers
    for server in one.servers:
        assert server.host == canonical_host(server.host)
        assert server.port in USUAL_PORTS
        usual = {25: "none", 465: "ssl", 2465: "ssl"}.get(server.port, "starttls")
        assert server.encryption == Encryption(usual)


@each
def test_its_documentation_is_a_link_and_its_facts_have_a_date_and_a_source(one):
    address = Address.parse(one.docs)
    assert address.secure
    assert address.port == 443
    assert date(2026, 11, 1) <= one.checked_on <= datetime.now(UTC).date()
    assert one.source


@each
def test_its_documentation_is_a_page_of_its_own_and_no_help_sites_front_page(one):
    front = Address.parse(one.docs).target == "/"
    assert front is (one.key in FRONT_PAGES)


@each
def test_its_hints_are_there_in_all_three_languages(one):
    for hint in (one.login, one.password, *([one.note] if one.note else [])):
        texts = [hint.text(language) for language in ("en", "fr", "it", "de")]
        assert all(text.endswith(".") and len(text) < 160 for text in texts)
        assert texts[3] == texts[0]
        assert not re.search(r"[^\u00a0\u202f][;:?!»]", hint.fr), "a no-break space is missing"


@each
def test_its_limits_are_those_of_a_lane_and_its_names_are_names(one):
    assert LIMITS == fields.LIMITS
    assert all(name in LIMITS and value > 0 for name, value in one.limits.items())
    for name in (*one.domains, *one.mx, *([one.spf_include] if one.spf_include else [])):
        assert re.fullmatch(r"[a-z0-9_.-]+\.[a-z]+", name)
    assert all(re.fullmatch("[a-z0-9-]+", selector) for selector in one.dkim_selectors)
    assert all(re.fullmatch("[A-Z]{2}", country) for country in one.countries)


def test_no_domain_of_mailboxes_belongs_to_two_providers():
    domains = [domain for one in ALL for domain in one.domains]
    assert len(domains) == len({*domains})


def test_what_a_sibling_does_not_say_is_taken_from_the_other():
    europe = preset("mailgun-eu")
    assert (europe.server.host, europe.spf_include) == ("smtp.eu.mailgun.org", "mailgun.org")
    assert preset_of_host("smtp.eu.mailgun.org") is europe
    assert preset_of_host("smtp.example.org") is None


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("smtp.mail.ovh.net", "ovh-mxplan"),
        ("smtp.mail.ovh.ca", "ovh-mxplan"),
        ("authsmtp.securemail.pro", "register-it"),
        ("out.alice.it", "tim-alice"),
    ],
)
def test_a_server_that_a_provider_writes_to_its_customers_is_known(host, key):
    assert preset_of_host(host) is preset(key)


def test_a_provider_that_is_none_is_refused_by_name():
    with pytest.raises(Invalid, match="There is no provider nobody"):
        preset("nobody")


def test_the_limits_of_microsoft_and_google_are_the_published_ones():
    assert preset("microsoft365").limits == {"max_sessions": 3, "per_minute": 30, "per_day": 10_000}
    assert preset("gmail").limits["max_recipients"] == 100
