"""A vault that cannot be opened: pages say so and what to do, and nothing is dialled or lost."""

import json

import pytest

from console.kit import CANARY, HTMX, connect, text, typed
from console.test_oauth2 import asks, at, fresh, person
from scripted.authorization import AuthorizationServer
from scripted.vault_keys import LOST, use_keys
from vaguemestre.ledger import oauth2
from vaguemestre.ledger.models import Connection, Secret

pytestmark = pytest.mark.django_db

WORDS = "remet vault.key dans son dossier de données"
PASSWORD = {"login": "bureau@exemple.fr", "password": CANARY}


def says(response, words=WORDS):
    assert response.status_code == 503
    told = text(response)
    assert "Les mots de passe enregistrés ne peuvent pas être lus" in told
    assert words in told
    assert CANARY not in response.content.decode()


@pytest.mark.parametrize("keys", LOST.values(), ids=LOST)
def test_without_its_key_saving_and_verifying_say_what_to_do(page, monkeypatch, keys):
    bureau = connect(**PASSWORD)
    at_page, sealed = f"/connections/{bureau.uid}/", bytes(Secret.objects.get().sealed)
    same = typed(host=bureau.host, sender_email=bureau.sender_email, login=PASSWORD["login"])
    use_keys(monkeypatch, *keys)
    says(page.post("/connections/verify/", same | {"uid": str(bureau.uid)}))
    says(page.post(at_page, same | {"password": "un-autre"}))
    says(page.post("/connections/new/", typed(name="Boutique", **PASSWORD)))
    assert page.get(at_page).status_code == page.get("/connections/").status_code == 200
    assert bytes(Secret.objects.get().sealed) == sealed
    assert Connection.objects.count() == 1


def test_a_switch_of_the_list_leads_back_to_it_with_the_words(page, monkeypatch):
    """It asks for a piece of the page, which the page of the fault must not replace."""
    bureau = connect(**PASSWORD)
    use_keys(monkeypatch)
    here = {"HX-Current-URL": "http://testserver/connections/?all=1"}
    answer = page.post(f"/connections/{bureau.uid}/active/", {"active": "false"}, headers=HTMX | here)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, "/connections/")
    assert WORDS in text(page.get("/connections/"))
    assert Connection.objects.get().active


def test_the_stream_of_a_verification_ends_with_the_same_words(page, monkeypatch):
    bureau = connect(**PASSWORD)
    use_keys(monkeypatch)
    same = typed(host=bureau.host, sender_email=bureau.sender_email, login=PASSWORD["login"])
    answer = page.post(
        "/connections/verify/", same | {"uid": str(bureau.uid)}, headers={"Accept": "application/x-ndjson"}
    )
    (line,) = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert (answer.status_code, line["ok"]) == (200, False)
    assert WORDS in line["outcome"]


@pytest.mark.parametrize("keys", LOST.values(), ids=LOST)
def test_the_way_back_from_a_consent_and_the_check_say_it_too(page, monkeypatch, keys):
    with AuthorizationServer().serving() as server:
        bureau = person(page, server)
        back = server.agree(asks(page, bureau)).removeprefix("http://127.0.0.1:8587")
        with monkeypatch.context() as lost:
            use_keys(lost, *keys)
            says(page.get(back))
            says(page.post(at(bureau, "check/")))
            assert page.get(at(bureau, "microsoft-person/")).status_code == 200
        assert server.asked == []
    assert not oauth2.is_connected(fresh(bureau))


def test_a_secret_that_was_moved_by_hand_says_to_type_it_again(page):
    with AuthorizationServer().serving() as server:
        bureau = person(page, server)
    Connection.objects.filter(pk=bureau.pk).update(host="ailleurs.exemple.fr")
    told = page.post(at(bureau, "check/"))
    assert told.status_code == 409
    assert "Saisissez de nouveau le mot de passe, ou reconfigurez OAuth2" in text(told)
