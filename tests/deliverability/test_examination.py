"""A sender's domain examined against a real DNS server: what is found, what is said first, what to publish."""

from __future__ import annotations

import base64
import time
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.utils import translation

from ledger.kit import ACTOR, NOW, connect
from scripted.dns import FAILS, SILENT, DnsServer
from vaguemestre.deliverability import examination
from vaguemestre.deliverability.questions import MOST
from vaguemestre.deliverability.wording import as_json
from vaguemestre.ledger import source_addresses

pytestmark = pytest.mark.django_db

TODAY = date(2026, 11, 27)
GMAIL = "smtp.gmail.com"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
SHORT = rsa.RSAPublicNumbers(65537, (1 << 767) + 1)  # fewer bits than are made any more


def txt(*texts):
    return [f'"{text}"' for text in texts]


def key(of):
    der = of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    text = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    return [" ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))]


WELL = {
    ("example.org", "MX"): ["10 smtp.google.com."],
    ("example.org", "TXT"): txt("v=spf1 include:_spf.google.com ~all", "site-verification=1"),
    ("_spf.google.com", "TXT"): txt("v=spf1 ip4:198.51.100.0/24 ~all"),
    ("google._domainkey.example.org", "TXT"): key(KEY),
    ("_dmarc.example.org", "TXT"): txt("v=DMARC1; p=reject; rua=mailto:d@example.org"),
}


def found(records, host=GMAIL, within=5.0, name="Office", **values):
    """The API's body."""
    connection = connect(name, host=host, **values)
    with DnsServer(records) as dns, translation.override("en"):
        seen = examination.examine(connection, TODAY, resolvers=((dns.address, dns.port),), within=within)
        found.asked = dns.asked
        return as_json(seen)


def codes(body):
    return [point["code"] for point in body["points"]]


def point(body, code):
    (only,) = [one for one in body["points"] if one["code"] == code]
    return only


def test_a_domain_that_is_in_order():
    body = found(WELL)
    assert body["domain"] == "example.org"
    assert codes(body) == ["mx_ok", "spf_ok", "dkim_ok", "dmarc_ok"]
    assert {one["severity"] for one in body["points"]} == {"info"}
    assert point(body, "dmarc_ok")["why"] == (
        "The record at example.org asks for: reject. The sender is proven by: SPF + DKIM."
    )
    assert len(found.asked) == len(set(found.asked)) < 10


def test_a_domain_with_nothing_gets_the_records_to_publish():
    body = found({("example.org", "A"): ["203.0.113.1"]})
    assert codes(body) == ["spf_missing", "mx_missing", "dkim_not_found", "dmarc_missing"]
    assert point(body, "spf_missing")["record"] == {
        "name": "example.org",
        "type": "TXT",
        "value": "v=spf1 include:_spf.google.com ~all",
    }
    assert point(body, "dmarc_missing")["record"]["name"] == "_dmarc.example.org"
    assert point(body, "dmarc_missing")["record"]["value"] == "v=DMARC1; p=none"


def test_a_record_for_another_provider_is_shown_with_this_one_in_it():
    body = found(WELL | {("example.org", "TXT"): txt("v=spf1 include:spf.mailjet.com mx -all")})
    wrong = point(body, "spf_not_covering")
    assert wrong["record"]["value"] == "v=spf1 include:spf.mailjet.com mx include:_spf.google.com -all"
    assert (wrong["severity"], wrong["who"]) == ("error", "dns_host")


def test_an_include_that_is_included_by_another_covers_too():
    records = WELL | {
        ("example.org", "TXT"): txt("v=spf1 include:mail.example.org -all"),
        ("mail.example.org", "TXT"): txt("v=spf1 include:_spf.google.com -all"),
    }
    assert "spf_ok" in codes(found(records))


@pytest.mark.parametrize(
    ("texts", "code", "told"),
    [
        (("v=spf1 include:_spf.google.com -al",), "spf_malformed", "Receivers stumble over “-al”"),
        (("v=spf1 -all", "v=spf1 include:_spf.google.com -all"), "spf_several", "heed none of them"),
        (("v=spf1 include:_spf.google.com +all",), "spf_open", "any machine in the world"),
        (("v=spf1 include:_spf.google.com",), "spf_undecided", "protects the domain from nobody"),
        (("v=spf1 include:_spf.google.com include:gone.example -all",), "spf_broken_include", "an error"),
        (
            (
                "v=spf1 include:_spf.google.com "
                + " ".join(f"a:h{n}.example.org" for n in range(10))
                + " -all",
            ),
            "spf_too_many_lookups",
            "Beyond ten receivers give up",
        ),
        (
            ("v=spf1 include:_spf.google.com a:x.example.net a:y.example.net mx:z.example.net -all",),
            "spf_void_lookups",
            "at the third one",
        ),
    ],
)
def test_what_is_wrong_with_an_spf_record_is_named(texts, code, told):
    hosts = {(f"h{n}.example.org", "A"): ["203.0.113.9"] for n in range(10)}
    body = found(WELL | hosts | {("example.org", "TXT"): txt(*texts)})
    assert told in point(body, code)["why"]


def test_ten_lookups_are_allowed():
    hosts = {(f"h{n}.example.org", "A"): ["203.0.113.9"] for n in range(9)}
    nine = " ".join(f"a:h{n}.example.org" for n in range(9))
    records = {("example.org", "TXT"): txt(f"v=spf1 include:_spf.google.com {nine} -all")}
    assert "spf_too_many_lookups" not in codes(found(WELL | hosts | records))


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (key(WEAK), "dkim_weak"),
        (txt("v=DKIM1; p="), "dkim_broken"),
        (txt("v=DKIM1; k=rsa; p=AAAA"), "dkim_broken"),
        (txt("not a key"), "dkim_broken"),
        (txt("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), "dkim_ok"),
    ],
)
def test_a_dkim_key_is_judged(record, code):
    assert code in codes(found(WELL | {("google._domainkey.example.org", "TXT"): record}))


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (("v=DMARC1; p=none", "v=DMARC1; p=reject"), "dmarc_several"),
        (("v=DMARC1; p=maybe",), "dmarc_malformed"),
        (("v=DMARC1; reject",), "dmarc_malformed"),
        (("v=DMARC1; rua=mailto:d@example.org",), "dmarc_ok"),
        (("another text",), "dmarc_missing"),
    ],
)
def test_a_dmarc_record_is_judged(texts, code):
    assert code in codes(found(WELL | {("_dmarc.example.org", "TXT"): txt(*texts)}))


def test_dmarc_that_refuses_what_nothing_proves_is_told_first_of_all():
    records = {name: record for name, record in WELL.items() if name[0] != "google._domainkey.example.org"}
    body = found(records | {("example.org", "TXT"): txt("v=spf1 -all")})
    assert codes(body)[:2] == ["spf_not_covering", "dmarc_unproven"]
    assert "says reject for mail that neither" in point(body, "dmarc_unproven")["why"]


def test_a_subdomain_follows_the_record_above_it_and_its_policy_for_those_below():
    records = {
        ("mail.example.org", "MX"): ["10 mx.example.org."],
        ("mail.example.org", "TXT"): txt("v=spf1 include:_spf.google.com -all"),
        ("_spf.google.com", "TXT"): txt("v=spf1 ip4:198.51.100.0/24 ~all"),
        ("_dmarc.example.org", "TXT"): txt("v=DMARC1; p=reject; sp=quarantine"),
    }
    body = found(records, sender_email="office@mail.example.org")
    assert point(body, "dmarc_ok")["why"].startswith("The record at example.org asks for: quarantine.")


def test_a_record_of_a_public_suffix_is_nobodys():
    records = WELL | {("_dmarc.org", "TXT"): txt("v=DMARC1; p=reject; psd=y")}
    records.pop(("_dmarc.example.org", "TXT"))
    assert "dmarc_missing" in codes(found(records))


def test_an_own_server_is_covered_by_its_address_or_gets_it_into_the_record():
    host = {("smtp.example.org", "A"): ["198.51.99.25"]}
    covered = WELL | host | {("example.org", "TXT"): txt("v=spf1 a:smtp.example.org -all")}
    assert codes(found(covered, host="smtp.example.org")) == ["mx_ok", "spf_ok", "dkim_untold", "dmarc_ok"]


def test_an_own_server_that_is_not_covered():
    host = {("smtp.example.org", "A"): ["198.51.99.25"]}
    body = found(WELL | host, host="smtp.example.org")
    assert point(body, "spf_not_covering")["record"]["value"] == (
        "v=spf1 include:_spf.google.com ip4:198.51.99.25 ~all"
    )


def test_behind_a_private_server_the_published_addresses_count():
    source_addresses.replace([{"address": "198.51.99.7"}, {"address": "198.51.99.8"}], ACTOR, NOW)
    records = WELL | {("example.org", "TXT"): txt("v=spf1 ip4:198.51.99.7 -all")}
    records |= {("smtp.example.org", "A"): ["10.1.0.5"]}
    body = found(records, host="smtp.example.org")
    assert point(body, "spf_not_covering")["record"]["value"] == (
        "v=spf1 ip4:198.51.99.7 ip4:198.51.99.8 -all"
    )


@pytest.mark.parametrize(
    ("sender", "host", "told"),
    [
        ("a@gmail.com", "smtp.gmail.com", False),
        ("a@gmail.com", "smtp-relay.gmail.com", False),
        ("a@gmail.com", "smtp.example.org", True),
        ("a@free.fr", "smtp.free.fr", False),
        ("a@free.fr", "smtp.laposte.net", True),
        ("a@example.org", "smtp.free.fr", False),
    ],
)
def test_whose_domain_it_is_decides_who_may_send_for_it(sender, host, told):
    body = found({(sender.partition("@")[2], "MX"): ["10 mx.example."]}, host=host, sender_email=sender)
    assert ("domain_not_yours" in codes(body)) is told


def test_a_mailbox_of_somebody_elses_domain_through_another_provider_is_told_first():
    body = found(
        {("gmail.com", "MX"): ["10 mx.google.com."]}, host="in-v3.mailjet.com", sender_email="a@gmail.com"
    )
    assert codes(body)[0] == "domain_not_yours"
    assert all(one["record"] is None for one in body["points"])


def test_a_domain_that_does_not_exist():
    assert codes(found({("example.net", "A"): ["203.0.113.1"]})) == ["domain_unknown"]


@pytest.mark.parametrize("answer", [FAILS, SILENT])
def test_what_dns_does_not_say_is_told_as_not_known_and_in_time(answer):
    names = ("example.org", "_dmarc.example.org", "google._domainkey.example.org")
    records = {(name, kind): answer for name in names for kind in ("MX", "TXT")}
    started = time.monotonic()
    body = found(records, within=0.4)
    assert time.monotonic() - started < 1.5
    assert set(codes(body)) == {"mx_unknown", "spf_unknown", "dkim_unknown", "dmarc_unknown"}


@pytest.mark.parametrize(
    ("name", "code"), [("example.org", "spf_unknown"), ("google._domainkey.example.org", "dkim_unknown")]
)
def test_what_dns_does_not_say_alarms_nobody_about_dmarc(name, code):
    records = WELL | {("example.org", "TXT"): txt("v=spf1 -all")}
    del records["google._domainkey.example.org", "TXT"]
    assert "dmarc_unproven" in codes(found(records))
    assert {code, "dmarc_ok"} <= set(codes(found(records | {(name, "TXT"): FAILS}, name="Other")))


def test_a_domain_cannot_have_us_ask_without_end():
    """Each record includes nine more."""
    names = ["example.org"] + [f"n{number}.example.org" for number in range(400)]
    records = {
        (name, "TXT"): txt(
            "v=spf1 " + " ".join(f"include:n{at * 9 + step}.example.org" for step in range(9)) + " -all"
        )
        for at, name in enumerate(names)
    }
    body = found(WELL | records)
    assert len(found.asked) <= MOST
    assert "spf_too_many_lookups" in codes(body)


def test_a_record_that_includes_itself_ends_and_is_told():
    body = found(
        WELL | {("example.org", "TXT"): txt("v=spf1 include:example.org include:_spf.google.com -all")}
    )
    assert {"spf_ok", "spf_loop"} <= set(codes(body))
    assert "includes example.org in a circle" in point(body, "spf_loop")["what"]
    assert point(body, "spf_loop")["severity"] == "error"


def test_names_that_all_include_each_other_are_not_followed_on_every_way():
    names = ["example.org", *(f"n{number}.example.org" for number in range(20))]
    records = {
        (name, "TXT"): ['"v=spf1" ' + " ".join(f'" include:{other}"' for other in names if other != name)]
        for name in names
    }
    began = time.monotonic()
    body = found(WELL | records)
    assert time.monotonic() - began < 4
    assert "spf_too_many_lookups" in codes(body)


def test_an_include_behind_all_does_not_cover_and_the_record_shown_has_it_before():
    body = found(WELL | {("example.org", "TXT"): txt("v=spf1 mx -all include:_spf.google.com")})
    told = point(body, "spf_not_covering")
    assert "counts for nothing: include:_spf.google.com." in told["why"]
    assert told["record"]["value"] == "v=spf1 mx include:_spf.google.com -all"


def test_a_record_that_depends_on_the_message_is_not_said_to_refuse():
    texts = txt("v=spf1 include:%{i}._ip.%{h}._ehlo.%{d}._spf.vali.example -all")
    records = WELL | {("example.org", "TXT"): texts}
    del records["google._domainkey.example.org", "TXT"]
    body = found(records)
    told = point(body, "spf_by_message")
    assert "%{i}" in told["why"]
    assert told["severity"] == "info"
    assert not {"spf_not_covering", "dmarc_unproven"} & set(codes(body))


def test_what_dns_does_not_say_of_such_a_record_is_told_first():
    records = {("example.org", "TXT"): txt("v=spf1 exists:%{i}.example.org include:other.example -all")}
    body = found(WELL | records | {("other.example", "TXT"): FAILS})
    assert [one for one in codes(body) if one.startswith("spf_")] == ["spf_unknown"]


def test_a_key_that_is_too_short_to_be_heeded_proves_nothing():
    body = found(
        WELL | {("google._domainkey.example.org", "TXT"): key(SHORT), ("example.org", "TXT"): txt("x")}
    )
    assert {"dkim_weak", "dmarc_unproven"} <= set(codes(body))


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("v=spf1 -exists:%{i}.block.example.org include:_spf.google.com -all", "spf_by_message"),
        ("v=spf1 ?ptr include:_spf.google.com -all", "spf_by_message"),
        ("v=spf1 include:_spf.google.com -exists:%{i}.block.example.org -all", "spf_ok"),
        ("v=spf1 ptr include:_spf.google.com -all", "spf_ok"),
    ],
)
def test_what_may_turn_a_message_away_before_it_passes_is_not_said_to_let_it_pass(record, code):
    body = found(WELL | {("example.org", "TXT"): txt(record)})
    assert [one for one in codes(body) if one.startswith("spf_")] == [code]


def test_what_every_name_below_a_domain_has_is_no_key():
    texts = {("google._domainkey.example.org", "TXT"): txt("v=spf1 -all")}
    assert "dkim_not_found" in codes(found(WELL | texts))


def test_only_so_many_are_examined_at_once():
    connection = connect("Office", host=GMAIL)
    for _ in range(examination.AT_ONCE):
        examination._places.acquire()
    try:
        with pytest.raises(examination.Busy):
            examination.examine(connection, TODAY)
    finally:
        for _ in range(examination.AT_ONCE):
            examination._places.release()
