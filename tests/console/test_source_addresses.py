"""The whitelist page: what servers see beside what is published, the forms to copy, and the change to announce."""

from __future__ import annotations

import pytest
import time_machine
from django.utils import timezone

from console.kit import ACTOR, connect, tags, text
from vaguemestre.ledger import sightings, source_addresses
from vaguemestre.ledger.models import Sighting

NOVEMBER = "2026-11-27T12:00:00Z"


def publish(*items):
    source_addresses.replace(items, ACTOR, timezone.now())


def see(connection, address):
    sightings.note(connection.pk, address, timezone.now())


def test_an_unlisted_address_raises_an_alarm_on_every_page_until_it_is_listed(page):
    see(connect("Bureau"), "203.0.113.7")
    assert "pas dans la liste publiée" not in text(page.get("/connections/"))
    publish({"address": "203.0.113.1"})
    told = text(page.get("/connections/"))
    assert "Son serveur nous a vus arriver de 203.0.113.7, qui n’est pas dans la liste publiée." in told
    whitelist = page.get("/source-addresses/")
    assert "Un serveur nous voit arriver de 203.0.113.7" in text(whitelist)
    assert "C’est le serveur de « Bureau » qui le dit" in text(whitelist)
    (offer,) = {a["href"] for tag, a in tags(whitelist) if tag == "a" and "?add=" in a.get("href", "")}
    assert 'value="203.0.113.7"' in page.get(offer).content.decode()
    publish({"address": "203.0.113.1"}, {"address": "203.0.113.7"})
    assert "203.0.113.7" not in text(page.get("/connections/"))


def test_each_address_says_whether_a_server_ever_saw_it(page):
    publish({"address": "203.0.113.1"}, {"address": "203.0.113.2"})
    see(connect("Bureau"), "203.0.113.1")
    told = text(page.get("/source-addresses/"))
    assert told.count("jamais encore vue par un serveur") == 1
    assert "dans la liste par le serveur de « Bureau »" in told


def test_a_private_address_is_told_as_one_and_raises_no_alarm(page):
    publish({"address": "203.0.113.1"})
    see(connect("Bureau"), "172.17.0.2")
    told = text(page.get("/source-addresses/"))
    assert "une adresse privée : un NAT, un conteneur" in told
    assert "Un serveur nous voit arriver" not in told


def test_what_servers_see_is_shown_before_anything_is_published(page):
    see(connect("Bureau"), "203.0.113.7")
    told = text(page.get("/source-addresses/"))
    assert "Aucune adresse n’est indiquée" in told
    assert "203.0.113.7 L’ajouter à la liste" in told


def test_what_a_server_told_can_be_forgotten(page):
    publish({"address": "203.0.113.1"})
    see(connect("Bureau"), "203.0.113.7")
    number = Sighting.objects.get().pk
    assert page.get(f"/source-addresses/forget/{number}/").status_code == 405
    told = text(page.post(f"/source-addresses/forget/{number}/", follow=True))
    assert "Oubliée." in told
    assert page.post(f"/source-addresses/forget/{number}/").status_code == 404
    assert "203.0.113.7" not in told


@pytest.mark.parametrize("told", ["<script>", "0.0.0.0", "x" * 5000, "\x00"])
def test_only_an_address_is_proposed_for_the_list(page, told):
    rows = page.get("/source-addresses/edit/", {"add": told})
    assert [a.get("value") for tag, a in tags(rows) if a.get("name") == "address"] == [""] * 4


def test_the_list_is_offered_in_each_form_and_as_a_file(page):
    publish({"address": "203.0.113.1", "label": "</pre><script>"}, {"address": "2001:db8::1"})
    shown = page.get("/source-addresses/").content.decode()
    assert "mynetworks = 127.0.0.0/8" in shown
    assert "-SenderIPAddresses 203.0.113.1 -RequireTls" in shown
    assert "</pre><script>" not in shown
    file = page.get("/source-addresses/export/cidr/")
    assert file.content == b"203.0.113.1/32\n2001:db8::1/128\n"
    assert file["Content-Disposition"] == 'attachment; filename="source-addresses-cidr.txt"'
    assert page.get("/source-addresses/export/bind/").status_code == 404


@time_machine.travel(NOVEMBER, tick=False)
def test_a_change_is_announced_with_its_day_and_a_text_to_send(page):
    form = {
        "address": ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"],
        "label": ["Paris", "", "", ""],
        "valid_from": ["", "2026-12-15", "", ""],
        "valid_until": ["", "", "2026-12-31", "2020-01-01"],
    }
    page.post("/source-addresses/edit/", form)
    whitelist = page.get("/source-addresses/")
    told = text(whitelist)
    assert "3 adresses à autoriser" in told
    assert "203.0.113.2 à partir du 15 décembre 2026" in told
    assert "203.0.113.3 jusqu’au 31 décembre 2026" in told
    assert "Annoncer le changement" in told
    assert "203.0.113.1 (Paris) 203.0.113.3" in told
    assert "À partir du 15 décembre 2026 aussi : 203.0.113.2" in told
    assert "Seulement jusqu’au 31 décembre 2026 : 203.0.113.3" in told
    assert page.get("/source-addresses/export/plain/").content == b"203.0.113.1\n203.0.113.3\n"
    again = page.get("/source-addresses/edit/").content.decode()
    assert 'value="2026-12-15"' in again


def test_a_day_that_is_none_is_told_at_its_line(page):
    form = {"address": ["203.0.113.1", "203.0.113.2"], "label": ["", ""]}
    form |= {"valid_from": ["", "2026-13-01"], "valid_until": ["", ""]}
    answer = page.post("/source-addresses/edit/", form)
    assert answer.status_code == 422
    assert "Écrivez le jour comme 2026-12-31." in text(answer)
    assert [a["value"] for _, a in tags(answer) if a.get("aria-invalid")] == ["2026-13-01"]
