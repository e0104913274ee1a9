"""The pages in Italian: nothing on them is English or French, whether it was marked for translation or not."""

import re

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from django.urls import URLResolver, path
from django.utils import timezone

from check_translations import catalogue_of
from console.conftest import PASSWORD
from console.kit import connect, errors, hand_over, tags, text, typed
from scripted.sink import Answer, SinkServer
from vaguemestre.console.urls import urlpatterns as console_urls
from vaguemestre.ledger import keys
from vaguemestre.ledger.models import ApiKey, Message, User

ACTOR = "user:chiara@esempio.it"
# Words that no Italian sentence has, and hardly an English or a French one lacks. Headers keep their names (From).
FOREIGN = re.compile(
    r"\b(the|and|with|your|this|that|is|are|of|to|has|not|which|what|from|for|you"
    r"|les|des|du|une|pour|avec|vous|votre|est|dans|et|pas|sur|cette|sont|aucun|au)\b",
)
SAID = {"aria-label", "alt", "content", "placeholder", "title", "data-just-now", "data-copied"}
# What stands for a part of an address, where it matters; a uid depends on what its page is about.
PARTS = {"key": "invoice", "language": "it", "code": "auth_refused", "form": "spf", "number": "1"}


def away(_request):
    raise OperationalError("database is locked")


urlpatterns = [path("broken/", lambda _request: 1 / 0), path("away/", away), *console_urls]
handler500 = "vaguemestre.doors.api.fallback.server_error"


def addresses(patterns, prefix="/"):
    """Those of every page, with their parts."""
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, address)
        else:
            yield address


@pytest.fixture(scope="module")
def others():
    """What the pages say in English and in French, where Italian says something else."""
    italian = {entry.msgid: entry.msgstr for entry in catalogue_of("it")}
    french = {entry.msgid: entry.msgstr for entry in catalogue_of("fr")}
    told = {english for english in italian if italian[english] != english}
    told |= {french[english] for english in told} - set(italian.values())
    return {re.sub(r"\s+", " ", words) for words in told if " " in words and "%(" not in words}


@pytest.fixture
def chiara(db):
    cache.clear()
    return User.objects.create_user("chiara@esempio.it", PASSWORD, language="it")


@pytest.fixture
def page(chiara):
    """A browser in which Chiara is signed in."""
    client = Client(headers={"accept-language": "it-IT,it;q=0.9"}, raise_request_exception=False)
    client.force_login(chiara)
    return client


def foreign(answer, others):
    """The words and sentences of another language on a page, in what it shows and in what it only says."""
    said = (value for _tag, attributes in tags(answer) for name, value in attributes.items() if name in SAID)
    told = " ".join((text(answer), *filter(None, said)))
    words = {found[0] for found in FOREIGN.finditer(re.sub(r"{%.*?%}|\S+@\S+|\S+\.\S+", "", told))}
    # Looked for plainly first: a thousand expressions are more than are kept compiled.
    beginning = {sentence for sentence in others if sentence in told}
    return words | {sentence for sentence in beginning if re.search(rf"\b{re.escape(sentence)}", told)}


def filled(address, uids):
    address = re.sub(r"<uuid:\w+>", str(uids.get(address.split("/")[1])), address)
    return re.sub(r"<\w+:(\w+)>", lambda part: PARTS.get(part[1], "x"), address)


def test_the_pages_are_italian(page, others):
    office = connect("Ufficio", is_default=True)
    connect("Marketing", active=False)
    hand_over("lea@example.org", subject="Buongiorno", body="Un testo.")
    keys.create("Negozio", ["send", "read", "connections", "admin"], ACTOR, timezone.now())
    uids = {
        "connections": office.uid,
        "messages": Message.objects.get().uid,
        "keys": ApiKey.objects.get().uid,
    }
    seen = set()
    for address in addresses(console_urls):
        answer = page.get(filled(address, uids))
        if answer.status_code not in {301, 302, 405} and answer["Content-Type"].startswith("text/html"):
            assert (address, foreign(answer, others)) == (address, set())
            seen.add(answer.status_code == 200 and address)
    assert len(seen) > 15
    assert {"/connections/", "/connections/new/", "/messages/<uuid:uid>/", "/source-addresses/"} < seen
    assert "Tutte le email partono da Ufficio <ufficio@exemple.fr>: mittente predefinito." in text(
        page.get("/connections/")
    )


def test_the_faults_of_a_form_are_italian(page, others):
    answer = page.post(
        "/connections/new/", typed(name="", sender_email="nessuno", host="https://x", port="0")
    )

    assert foreign(answer, others) == set()
    assert errors(answer) == {
        "name": "Dalle un nome.",
        "sender_email": "Questo non è un indirizzo email; si scrive come nome@example.org.",
        "host": "Indica solo il nome del server, senza ciò che finisce con ://.",
        "port": "La porta è un numero da 1 a 65535, di solito 465 o 587.",
    }


def test_a_verification_is_told_in_italian(page, others):
    hooks = {"mail": lambda _moment: Answer("550 5.7.1 Sender rejected")}
    with SinkServer(hooks=hooks).in_thread() as server:
        answer = page.post(
            "/connections/verify/", typed(host="127.0.0.1", port=str(server.port), encryption="none")
        )
        told = text(answer)

    assert "Server raggiunto, porta" in told
    assert "Mittente rifiutato" in told
    assert foreign(answer, others) == set()


@pytest.mark.urls("console.test_in_italian")
def test_the_pages_of_errors_are_italian(page, others):
    strict = Client(enforce_csrf_checks=True, headers={"accept-language": "it"})
    answers = {
        404: page.get("/nulla/"),
        403: strict.post("/accounts/login/"),
        500: page.get("/broken/"),
        503: page.get("/away/"),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert foreign(answer, others) == set()
    assert "Non è stato modificato nulla." in text(answers[503])
    assert answers[503]["Retry-After"] == "5"


def test_a_stranger_reads_italian_where_the_browser_or_the_installation_says_so(db, settings, others):
    cache.clear()
    connect("Ufficio")
    reading = Client(headers={"accept-language": "it-CH,de;q=0.5"}).get("/accounts/login/")
    settings.LANGUAGE_CODE = "it"
    told = Client().get("/accounts/login/")
    for answer in (reading, told):
        assert "Resta connesso su questo computer" in text(answer)
        assert foreign(answer, others) == set()


def test_the_choice_of_italian_is_kept(page, chiara):
    chiara.language = "fr"
    chiara.save()

    page.post("/language/", {"language": "it", "next": "/messages/"})

    chiara.refresh_from_db()
    assert chiara.language == "it"
    assert "Ancora nessun messaggio" in text(page.get("/messages/"))


def test_days_are_written_in_small_letters(page):
    connect("Ufficio")
    words = text(page.get("/findings/certificate_expires_soon/"))
    assert "1 maggio 2030" in words
    assert "Maggio" not in words
