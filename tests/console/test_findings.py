"""The pages about findings: one each, in the reader's language, and the way there from a verification."""

import re

import pytest
from django.utils import timezone

from console.kit import connect, text, typed
from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import connections
from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.probe import verify
from vaguemestre.verification.texts.seen import SEEN


@pytest.mark.parametrize("code", list(FindingCode))
def test_every_finding_has_its_page(page, code):
    shown = text(page.get(f"/findings/{code.value}/"))
    assert "Ce que cela veut dire" in shown
    assert "Constaté" in shown
    assert SEEN[code] not in shown
    assert "?" not in shown


def test_the_list_leads_to_every_one(page):
    listed = page.get("/findings/").content.decode()
    assert set(re.findall(r"/findings/(\w+)/", listed)) == {code.value for code in FindingCode}


def test_there_is_no_page_about_what_is_no_finding(page, stranger):
    assert page.get("/findings/nonsense/").status_code == 404
    assert stranger.get("/findings/refused/").status_code == 302


def test_a_refused_address_is_told_as_the_server_saw_it_with_the_way_to_the_list(page):
    refuses = {"mail": lambda _: Answer("554 5.7.1 Client host [203.0.113.7] rejected: Access denied")}
    with SinkServer(hooks=refuses).in_thread() as server:
        form = typed(host="127.0.0.1", port=str(server.port), encryption="none")
        answer = page.post("/connections/verify/", form)
    assert "L’adresse qu’il a vue : 203.0.113.7." in text(answer)
    shown = answer.content.decode()
    assert 'href="/source-addresses/"' in shown.partition('class="note bad"')[2].partition("</div>")[0]
    assert 'href="/findings/address_not_listed/"' in shown


def test_a_connection_that_works_says_so_before_what_may_not(page):
    with SinkServer(keywords=("SIZE 1000000",)).in_thread() as server:
        office = connect(host="127.0.0.1", port=server.port, encryption="none")
        *_, found = verify(connections.saved_draft(office), timezone.now())
        codes = [finding.code.value for finding in found.findings]
        assert (codes[0], codes[-1]) == ("small_size_limit", "ok")
        form = typed(host="127.0.0.1", port=str(server.port), encryption="none")
        told = re.findall(r"<h3>([^<]*)</h3>", page.post("/connections/verify/", form).content.decode())
    assert told[0] == "La connexion fonctionne"
