"""What a stream adds to its messages: Auto-Submitted (RFC 3834), a link to unsubscribe (RFC 2369, RFC 8058)."""

import re
from dataclasses import replace

import pytest
from django.test import Client

from ledger.kit import (
    ACTOR,
    NOW,
    connect,
    content,
    deliveries,
    fresh,
    later,
    lease_of,
    only,
    post,
    submission,
)
from vaguemestre.ledger import contents, messages, queue, resources, streams, unsubscribing
from vaguemestre.ledger.accept import accept_all
from vaguemestre.ledger.models import OptOut

pytestmark = pytest.mark.django_db

BASE = "https://courrier.example.org"


@pytest.fixture(autouse=True)
def _reached_by_https(settings):
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, base_url=BASE)


def leaving(connection, now=NOW):
    """What leaves for each recipient, as text; each claim once."""
    claims = queue.claim(lease_of(connection, now=now), 100, now)
    found = contents.departing(claims)
    return {duty.recipient: found[one.attempt].decode() for one in claims for duty in one.duties}


def field(name, text):
    found = re.findall(rf"^{name}: (.*?)\r\n(?![ \t])", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"\r\n\s", "", value) for value in found]


def link_of(text):
    (value,) = field("List-Unsubscribe", text)
    assert value.startswith(f"<{BASE}/u/")
    return value.strip("<>").removeprefix(BASE)


@pytest.mark.parametrize(
    ("stream", "value"),
    [
        ("notifications", ["auto-generated"]),
        ("reports", ["auto-generated"]),
        ("form-replies", ["auto-replied"]),
        ("marketing", []),
        ("support", []),
        ("invoices", []),
        (None, []),
    ],
)
def test_automatic_messages_say_that_they_are(stream, value):
    office = connect()
    post(stream=stream)
    (text,) = leaving(office).values()
    assert field("Auto-Submitted", text) == value


def test_what_a_message_says_of_itself_stays():
    office = connect()
    post(stream="notifications", headers=["Auto-Submitted: no"])
    (text,) = leaving(office).values()
    assert field("Auto-Submitted", text) == ["no"]


def test_each_recipient_of_marketing_has_a_link_of_their_own_that_one_click_follows():
    office = connect()
    post("a@example.com", "b@example.com", stream="marketing")
    found = leaving(office)
    links = {recipient: link_of(text) for recipient, text in found.items()}
    assert set(links) == {"a@example.com", "b@example.com"}
    assert len(set(links.values())) == 2
    assert all(
        field("List-Unsubscribe-Post", text) == ["List-Unsubscribe=One-Click"] for text in found.values()
    )
    answer = Client(enforce_csrf_checks=True).post(links["a@example.com"], {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert list(OptOut.objects.values_list("stream__key", "address")) == [("marketing", "a@example.com")]


def test_a_link_that_is_not_reached_by_https_promises_no_one_click(settings):
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, base_url="http://127.0.0.1:8587")
    office = connect()
    post(stream="marketing")
    (text,) = leaving(office).values()
    assert field("List-Unsubscribe", text)[0].startswith("<http://127.0.0.1:8587/u/")
    assert field("List-Unsubscribe-Post", text) == []


def test_a_link_of_the_senders_own_stays_and_recipients_share_a_transaction():
    office = connect()
    post(
        "a@example.com",
        "b@example.com",
        stream="marketing",
        headers=["List-Unsubscribe: <https://x.example/1>"],
    )
    claims = queue.claim(lease_of(office), 100, NOW)
    assert [len(one.duties) for one in claims] == [2]
    (text,) = {contents.departing(claims)[one.attempt].decode() for one in claims}
    assert field("List-Unsubscribe", text) == ["<https://x.example/1>"]


def test_a_retry_is_byte_identical_whatever_became_of_the_stream_and_of_our_address(settings):
    office = connect()
    post(stream="marketing"), post(stream="notifications")
    lease = lease_of(office)
    claims = queue.claim(lease, 100, NOW)
    before = contents.departing(claims)
    for key in ("marketing", "notifications"):
        streams.edit(key, {"unsubscribe": False, "auto_submitted": "no"}, ACTOR, NOW)
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, base_url="https://other.example.org")
    assert contents.departing(claims) == before


def test_looking_at_the_link_changes_nothing_and_its_button_does():
    office = connect()
    post(stream="marketing")
    (text,) = leaving(office).values()
    page = Client(headers={"accept-language": "fr"})
    assert "Se désinscrire" in page.get(link_of(text)).content.decode()
    assert not OptOut.objects.exists()
    done = page.post(link_of(text)).content.decode()
    assert "to@example.com ne recevra plus" in done
    assert page.post(link_of(text)).status_code == 200
    assert OptOut.objects.count() == 1
    assert "to@example.com ne recevra plus" in page.get(link_of(text)).content.decode()
    again = page.post(link_of(text), {"again": "yes"}).content.decode()
    assert "Réinscription faite" in again
    assert not OptOut.objects.exists()


@pytest.mark.parametrize("token", ["1", "1.x", "x.y", "0" * 300, "1.", "-1.abc"])
def test_a_link_that_is_none_of_ours_is_no_page(token):
    connect()
    post(stream="marketing")
    answer = Client(headers={"accept-language": "fr"}).get(f"/u/{token}")
    assert answer.status_code == 404
    assert "Ce lien ne fonctionne plus" in answer.content.decode()
    assert "/connections/" not in answer.content.decode()
    assert Client().post(f"/u/{token}").status_code == 404


def test_a_body_beyond_a_click_is_not_read():
    office = connect()
    post(stream="marketing")
    (text,) = leaving(office).values()
    link = link_of(text)
    assert Client().post(link, {"again": "x" * 5_000}).status_code == 413
    assert OptOut.objects.count() == 0
    assert Client().post(link, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert OptOut.objects.count() == 1


def spare(*addresses, stream="marketing"):
    for address in addresses:
        unsubscribing.unsubscribe(unsubscribing.Subscription(streams.find(stream), address), NOW)


def test_what_comes_later_for_who_unsubscribed_is_refused_and_says_why():
    office = connect()
    spare("a@example.com")
    message = post("A@Example.com", "b@example.com", stream="marketing")
    states = {one.recipient: (one.state, one.reason["code"]) for one in deliveries(message)}
    assert states == {
        "A@example.com": ("refused", "unsubscribed"),
        "b@example.com": ("queued", "only_active"),
    }
    assert set(leaving(office)) == {"b@example.com"}
    told = resources.message_resource(messages.find(str(message.uid)), later(seconds=1))["deliveries"][0]
    assert "désinscrit" in told["outlook"]["text"]
    assert "désinscrit" in told["trouble"]
    # Of another stream it gets what it always got.
    assert only(post("a@example.com", stream="support")).state == "queued"


def test_an_address_that_is_named_twice_in_two_cases_is_spared_both_times():
    office = connect()
    spare("a@example.com")
    message = post("a@example.com", "A@example.com", stream="marketing")
    assert {one.state for one in deliveries(message)} == {"refused"}
    assert leaving(office) == {}


def test_the_submitter_is_told_at_once():
    connect()
    spare("a@example.com")
    both, alone = accept_all(
        [submission("a@example.com", "b@example.com", stream="marketing"),
         submission("a@example.com", stream="marketing")],
        NOW,
    )  # fmt: skip
    told = resources.accepted_summary(both)
    assert told["state"] == "mixed"
    assert [one["state"] for one in told["deliveries"]] == ["refused", "queued"]
    told = resources.accepted_summary(alone)
    assert (told["state"], told["reason"]["code"]) == ("refused", "unsubscribed")


def test_a_stream_without_links_asks_nobody():
    connect()
    spare("a@example.com", stream="support")
    assert only(post("a@example.com", stream="support")).state == "queued"


def test_a_message_of_several_megabytes_gets_its_fields_too():
    office = connect()
    message = post(stream="marketing", content=content(body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 5_000))
    (claim,) = queue.claim(lease_of(office), 1, NOW)
    outline = contents.departing([claim])[claim.attempt]
    assert link_of(outline.head.decode())
    assert fresh(message).size > 262_144
