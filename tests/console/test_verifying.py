"""The button Vérifier la connexion: typed values, tried for real, told step by step."""

import json
import re
import time
from dataclasses import replace

import pytest
from django.utils import timezone, translation

from console.kit import CANARY, connect, errors, text, typed
from egress.test_guard import SPELLINGS
from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import connections
from vaguemestre.ledger.models import Connection, Verification
from vaguemestre.verification import probe

LINES = {"Accept": "application/x-ndjson"}


@pytest.fixture
def sink():
    with SinkServer().in_thread() as server:
        yield server


def aimed(server, **values):
    return typed(host="127.0.0.1", port=str(server.port), encryption="none", **values)


def lines(answer):
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def test_each_step_is_a_line_and_the_findings_are_the_last(page, sink):
    told = lines(page.post("/connections/verify/", aimed(sink), headers=LINES))

    steps = [re.sub(r" (&lt; )?\d+ ms.*", "", words(line["step"])) for line in told[:-1]]
    assert steps == [
        "Adresse trouvée",
        f"Serveur joint, port {sink.port}",
        "Il parle SMTP",
        "Il dit ce qu’il sait faire",
        "Expéditeur accepté",
        "Essai terminé, rien d’envoyé",
        "Au revoir",
    ]
    assert told[-1]["ok"] is True
    assert "La connexion fonctionne" in words(told[-1]["outcome"])
    assert sink.accepted == []


def test_the_lines_arrive_as_the_steps_happen(page):
    """The answer to MAIL is late: everything before it is read while it is awaited."""
    waits = {"mail": lambda _moment: Answer("250 2.1.0 Ok", delay=1.0)}
    with SinkServer(hooks=waits).in_thread() as server:
        start = time.monotonic()
        stream = page.post("/connections/verify/", aimed(server), headers=LINES).streaming_content
        before = [words(json.loads(next(stream))["step"]) for _step in range(4)]
        early = time.monotonic() - start
        rest = list(stream)
        late = time.monotonic() - start

    assert "Il dit ce qu’il sait faire" in before[-1]
    assert "Expéditeur accepté" in words(json.loads(rest[0])["step"])
    assert early < 0.9
    assert late >= 1.0


def test_a_failure_says_what_is_wrong_and_what_to_do_in_french(page):
    refuses = {"mail": lambda _moment: Answer("553 5.7.1 <b>not yours</b>")}
    with SinkServer(hooks=refuses).in_thread() as server:
        told = lines(page.post("/connections/verify/", aimed(server), headers=LINES))

    assert told[-1]["ok"] is False
    outcome = told[-1]["outcome"]
    assert "127.0.0.1 ne vous laisse pas envoyer sous contact@exemple.fr" in words(outcome)
    assert "À faire par vous" in words(outcome)
    assert "<b>not yours" not in json.dumps(told)
    assert "&lt;b&gt;not yours&lt;/b&gt;" in json.dumps(told)


def test_the_form_answers_alike_for_every_spelling_of_an_inner_address(page, sink, settings):
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, egress_allow="", egress_ports=str(sink.port))
    answers = {spelt_out(page, sink.port, host) for host in SPELLINGS}
    assert sink.sessions == 0
    assert answers <= {"no name", "host_unknown", "address_not_permitted"}
    assert {"no name", "address_not_permitted"} <= answers


def spelt_out(page, port, host):
    """What is said of that host: with the same words for each that the guard refuses."""
    form = typed(host=host, port=str(port), encryption="none")
    answer = page.post("/connections/verify/", form, headers=LINES)
    if answer.status_code == 422:
        (error,) = answer.json()["errors"]
        assert (error["field"], "un nom de serveur" in error["message"]) == ("host", True), error
        return "no name"
    step, last = lines(answer)
    assert last["ok"] is False
    if "Aucun serveur ne s’appelle" in words(last["outcome"]):
        return "host_unknown"
    assert words(step["step"]).startswith("Non permis ici")
    assert "Cette installation n’a pas le droit de joindre" in words(last["outcome"])
    return "address_not_permitted"


def test_the_findings_follow_the_readers_language(claire, page, sink):
    claire.language = "en"
    claire.save()

    told = lines(page.post("/connections/verify/", aimed(sink), headers=LINES))

    assert "The connection works" in words(told[-1]["outcome"])


def test_the_language_outlives_the_request_since_the_lines_are_made_after_it(page, sink):
    answer = page.post("/connections/verify/", aimed(sink), headers=LINES)

    with translation.override("en"):
        told = lines(answer)

    assert "La connexion fonctionne" in words(told[-1]["outcome"])


def test_a_name_is_not_needed_to_verify(page, sink):
    told = lines(page.post("/connections/verify/", aimed(sink, name=""), headers=LINES))

    assert told[-1]["ok"] is True


def test_nothing_is_saved_by_verifying(page, sink):
    lines(page.post("/connections/verify/", aimed(sink), headers=LINES))

    assert not Connection.objects.exists()
    assert Verification.objects.get().connection is None


def test_a_verification_counts_for_an_identical_save(page, sink):
    lines(page.post("/connections/verify/", aimed(sink), headers=LINES))

    answer = page.post("/connections/new/", aimed(sink), follow=True)

    assert "« Bureau » est enregistrée, et vérifiée." in text(answer)
    assert "Vérifiée" in text(answer)
    address = f"/connections/{Connection.objects.get().uid}/"
    assert "La connexion fonctionne" in text(page.get(address))
    page.post(address, aimed(sink, sender_email="autre@exemple.fr", uid=address.split("/")[2]))
    changed = text(page.get(address))
    assert "Réglages modifiés depuis la vérification" in changed
    assert "La connexion fonctionne" not in changed


def test_faulty_values_are_told_at_their_fields(page):
    answer = page.post("/connections/verify/", typed(host="", port="0", password=CANARY), headers=LINES)

    assert answer.status_code == 422
    told = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert set(told) >= {"host", "port"}
    assert "smtp.exemple.fr" in told["host"]
    assert CANARY not in answer.content.decode()


def test_the_stored_password_is_used_only_where_it_was_saved_for(page, sink):
    saved = connect("Bureau", host="smtp.exemple.fr", login="app", password=CANARY)
    form = typed(login="app", host="localhost", port=str(sink.port), uid=str(saved.uid))

    answer = page.post("/connections/verify/", form, headers=LINES)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["password"]
    assert sink.sessions == 0
    assert CANARY.encode() not in sink.heard


def test_without_a_script_the_same_button_answers_with_the_page(page, sink):
    answer = page.post("/connections/verify/", aimed(sink, name="Tapé"))

    assert answer.status_code == 200
    assert "La connexion fonctionne" in text(answer)
    assert "Expéditeur accepté" in text(answer)
    assert 'value="Tapé"' in answer.content.decode()


def test_without_a_script_the_steps_are_lines_too(page, sink):
    shown = page.post("/connections/verify/", aimed(sink)).content.decode()

    ladder = re.search(r'<ol class="ladder">(.*?)</ol>', shown, re.DOTALL)[1]
    assert ladder.count('<li class="good">') == 7
    assert "&lt;li" not in shown


def test_without_a_script_faulty_values_keep_the_form(page):
    answer = page.post("/connections/verify/", typed(host="smtp exemple", password=CANARY))

    assert answer.status_code == 422
    assert "host" in errors(answer)
    assert CANARY not in answer.content.decode()


def test_the_password_is_never_shown_again(page):
    with SinkServer(login="app", password="another").in_thread() as server:
        form = aimed(server, login="app", password=CANARY)
        told = lines(page.post("/connections/verify/", form, headers=LINES))
        whole = page.post("/connections/verify/", form)

    assert told[-1]["ok"] is False
    for shown in (json.dumps(told), whole.content.decode()):
        assert CANARY not in shown
    assert "Identifiants refusés" in text(whole)


def test_the_page_of_a_verified_connection_tells_the_findings_again(page):
    with SinkServer(login="app", password="another").in_thread() as server:
        values = {
            "host": "127.0.0.1",
            "port": server.port,
            "encryption": "none",
            "login": "app",
            "password": CANARY,
        }
        saved = connect("Bureau", **values)
        list(probe.verify(connections.saved_draft(saved), timezone.now()))

    words_of_page = text(page.get(f"/connections/{saved.uid}/"))

    assert "Échec de la vérification" in words_of_page
    assert "127.0.0.1 refuse le login ou le mot de passe" in words_of_page


def test_a_connection_that_is_gone_cannot_be_verified(page):
    uid = "01a20dcc-2de3-784f-855a-e1bb3505e09c"

    assert page.post("/connections/verify/", typed(uid=uid), headers=LINES).status_code == 404


def test_the_readers_own_address_is_asked_for_only_where_they_want_it(page, claire, sink):
    answer = page.post("/connections/verify/", aimed(sink))
    assert f"s’il accepte les messages pour {claire.email}" in text(answer)
    assert b"RCPT" not in sink.heard
    told = lines(page.post("/connections/verify/", aimed(sink, ask_recipient="on"), headers=LINES))
    assert f"RCPT TO:<{claire.email}>".encode() in sink.heard
    assert "Destinataire accepté" in " ".join(words(line["step"]) for line in told[:-1])
    assert sink.accepted == []


def test_without_a_script_the_page_asks_for_the_password_once_more(page):
    """Saved as the page is shown, a password typed anew would silently stay the one before."""
    asked = "Par sûreté, le mot de passe n’est pas réaffiché : retapez-le."
    with SinkServer(login="contact@exemple.fr", password=CANARY).in_thread() as server:
        form = aimed(server, login="contact@exemple.fr", password=CANARY)
        shown = page.post("/connections/verify/", form)
    assert "La connexion fonctionne" in text(shown)
    assert text(shown).count(asked) == 1
    assert CANARY not in shown.content.decode()
    assert asked not in text(page.get("/connections/new/"))
    assert asked not in text(page.post("/connections/verify/", typed(host="127.0.0.1", port="9")))
