"""The page about deliverability: asked on demand, in words, with the record to copy; and a receiver's word read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.kit import connect, tags, text
from scripted.dns import DnsServer
from vaguemestre.deliverability import examination

MOST = 20_000


@pytest.fixture
def dns(settings):
    with DnsServer({("exemple.fr", "MX"): ["10 mx.exemple.fr."]}) as server:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((server.address, server.port),))
        yield server


def place(connection, what=""):
    return f"/connections/{connection.uid}/deliverability/{what}"


def test_nothing_is_asked_before_the_reader_wants_it(page, dns):
    office = connect("Bureau")
    assert place(office) in page.get(f"/connections/{office.uid}/").content.decode()
    answer = page.get(place(office))
    assert "Examiner le domaine" in text(answer)
    assert f'href="/connections/{office.uid}/#test"' in answer.content.decode()
    assert dns.asked == []
    assert page.get(place(office, "examine/")).status_code == 405


def test_a_domain_is_examined_and_its_record_can_be_copied(page, dns):
    answer = page.post(place(connect("Bureau", host="smtp.gmail.com"), "examine/"))
    told = text(answer)
    assert "exemple.fr n’a pas d’enregistrement SPF" in told
    assert "Enregistrement TXT à publier à exemple.fr : v=spf1 include:_spf.google.com ~all" in told
    copies = {a["data-copy"] for _, a in tags(answer) if "data-copy" in a}
    assert copies == {a["id"] for tag, a in tags(answer) if tag == "pre"}
    assert len(dns.asked) > 3


def test_a_hostile_record_is_only_text(page, dns):
    dns.records["exemple.fr", "TXT"] = ['"v=spf1 <script>alert(1)</script> -all"']
    shown = page.post(place(connect("Bureau"), "examine/")).content.decode()
    assert "&lt;script&gt;" in shown
    assert "<script>alert" not in shown


def test_who_comes_while_several_are_examined_is_told(page, dns, monkeypatch):
    office = connect("Bureau")
    for _ in range(examination.AT_ONCE):
        examination._places.acquire()
    try:
        assert "Plusieurs domaines sont déjà à l’examen." in text(page.post(place(office, "examine/")))
    finally:
        for _ in range(examination.AT_ONCE):
            examination._places.release()


def test_a_receivers_word_is_read(page):
    pasted = (
        "Authentication-Results: mx.google.com;\r\n spf=pass smtp.mailfrom=bureau@exemple.fr;\r\n"
        " dkim=pass header.d=gmail.com;\r\n dmarc=fail header.from=exemple.fr\r\nReturn-Path: <x>"
    )
    told = text(page.post(place(connect("Bureau"), "results/"), {"results": pasted}))
    assert "Écrit par mx.google.com :" in told
    assert "SPF = pass Le serveur qui a remis le message a le droit d’envoyer pour exemple.fr." in told
    assert "Mais cela vaut pour gmail.com, et non pour exemple.fr : DMARC n’en tient pas compte." in told
    assert "DMARC = fail Ni SPF ni DKIM ne prouvent" in told


def test_what_the_receiver_leaves_out_is_said(page):
    told = text(page.post(place(connect("Bureau"), "results/"), {"results": "mx; spf=none"}))
    assert "SPF = none exemple.fr n’a pas d’enregistrement SPF." in told
    assert told.count("Le destinataire n’en dit rien.") == 2


@pytest.mark.parametrize(
    "pasted", ["", "Bonjour", "<script>alert(1)</script>", "\x00" * 50, "x" * (MOST + 500)]
)
def test_what_holds_no_result_is_told_at_the_field_and_kept_there(page, pasted):
    answer = page.post(place(connect("Bureau"), "results/"), {"results": pasted})
    assert answer.status_code == 422
    assert "Ce texte ne contient pas d’Authentication-Results." in text(answer)
    assert "<script>alert" not in answer.content.decode()
    assert [a["id"] for _, a in tags(answer) if a.get("aria-invalid")] == ["results"]
    assert answer.content.decode().count("x" * 1000) <= MOST // 1000


def test_a_connection_that_is_not_there(page):
    assert page.get("/connections/0190c2de-0000-7000-8000-000000000000/deliverability/").status_code == 404
