"""Who comes in, and how."""

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, resolve

from console.conftest import PASSWORD
from console.kit import tags, text
from vaguemestre.console import urls
from vaguemestre.ledger import instance
from vaguemestre.ledger.models import User

NOBODY = "01890000-0000-4000-8000-000000000000"  # fixed: two workers have to collect the same tests
OPEN = {
    "/", "/language/", "/accounts/login/", "/accounts/logout/", "/accounts/inactive/", "/accounts/signup/",
    "/accounts/password/forgotten/", "/accounts/password/forgotten/sent/", "/accounts/password/chosen/",
    "/accounts/password/choose/x-y/", "/setup/", "/setup/x/", "/u/x",
}  # fmt: skip


def addresses(patterns, prefix="/"):
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            address = re.sub(
                r"<uuid:\w+>", NOBODY, prefix + str(pattern.pattern).removeprefix("^").removesuffix("$")
            )
            address = re.sub(r"\(\?P<\w+>\[[^)]*\)-\(\?P<\w+>[^)]*\)", "x-y", address)
            yield re.sub(r"<int:\w+>", "1", re.sub(r"<(str|slug):\w+>", "x", address))


EVERY = sorted(addresses(urls.urlpatterns))


def test_the_walk_sees_every_page():
    assert len(EVERY) > 40
    assert {address for address in EVERY if "-4" not in address} >= OPEN


@pytest.mark.parametrize("address", [address for address in EVERY if address not in OPEN])
@pytest.mark.parametrize("method", ["get", "post"])
def test_every_page_asks_a_stranger_to_sign_in(claire, stranger, address, method):
    answer = getattr(stranger, method)(address)

    if method == "post" and hasattr(resolve(address).func, "keeps"):
        assert (answer.status_code, answer.templates[0].name) == (403, "account/login.html")
        return
    assert answer.status_code == 302, address
    assert answer.url.startswith("/accounts/login/")
    if method == "post" and not address.startswith("/accounts/"):
        assert "?next=" not in answer.url, "what was posted cannot be gone back to"


@pytest.mark.parametrize("address", ["/connections/", "/messages/", "/people/", "/keys/", "/accounts/login/"])
def test_what_a_person_is_shown_is_kept_by_no_proxy(claire, page, address):
    answer = page.get(address)
    assert {"private", "no-cache"} <= set(answer["Cache-Control"].split(", "))
    assert "Cookie" in answer["Vary"]


@pytest.mark.parametrize("headers", [{"HX-Request": "true"}, {"Sec-Fetch-Mode": "cors"}])
def test_a_piece_of_a_page_says_that_one_was_signed_out_and_leaves_the_page(claire, stranger, headers):
    answer = stranger.get("/messages/", headers=headers)

    assert (answer.status_code, answer.headers.get("HX-Redirect")) == (403, None)
    assert "Vous avez été déconnecté" in text(answer)


def test_a_button_pressed_after_the_session_ended_says_that_nothing_was_done(claire, stranger):
    answer = stranger.post("/sending/pause/", follow=True)

    assert answer.request["PATH_INFO"] == "/accounts/login/"
    assert "Vous n’étiez plus connecté, rien n’a donc été fait." in text(answer)


def test_while_nobody_exists_every_page_tells_where_the_link_is(stranger):
    answer = stranger.get("/", follow=True)

    assert answer.request["PATH_INFO"] == "/setup/"
    assert "vaguemestre admin create" in text(answer)
    assert "Il ne manque que le premier administrateur" in text(answer)


def test_the_one_time_link_creates_the_first_administrator(stranger):
    link = f"/setup/{instance.new_setup_token()}/"
    assert "Premier administrateur" in text(stranger.get(link))
    form = {"email": "claire@exemple.fr", "password": PASSWORD, "again": PASSWORD}

    answer = stranger.post(link, form, follow=True)

    assert answer.redirect_chain == [("/connections/", 302)]
    assert "Votre première connexion" in text(answer)
    assert User.objects.get().language == "fr"
    again = stranger.post(link, form)
    assert again.status_code == 404
    assert "ne servait qu’une fois" in text(again)
    assert User.objects.count() == 1


def test_a_wrong_link_says_so_calmly(stranger):
    instance.new_setup_token()

    answer = stranger.get("/setup/wrong/")

    assert answer.status_code == 404
    assert "Ce lien ne fonctionne plus" in text(answer)
    assert "prenez le dernier" in text(answer)


@pytest.mark.parametrize(
    ("password", "again", "words"),
    [
        ("bref7", "bref7", "trop court"),
        ("password1234", "password1234", "trop courant"),
        ("123456789012345", "123456789012345", "entièrement numérique"),
        (PASSWORD, "autre chose entièrement", "Les deux mots de passe diffèrent"),
    ],
)
def test_a_weak_first_password_is_refused(stranger, password, again, words):
    link = f"/setup/{instance.new_setup_token()}/"

    answer = stranger.post(link, {"email": "claire@exemple.fr", "password": password, "again": again})

    assert answer.status_code == 422
    assert words in text(answer)
    assert ("input", "claire@exemple.fr") in [(tag, attrs.get("value")) for tag, attrs in tags(answer)]
    assert password not in answer.content.decode()
    assert not User.objects.exists()


def test_signing_in_and_out(claire, stranger):
    form = {"login": "claire@exemple.fr", "password": PASSWORD, "next": "/messages/"}

    assert stranger.post("/accounts/login/", form).url == "/messages/"
    assert stranger.get("/messages/").status_code == 200
    assert stranger.post("/accounts/logout/").url == "/accounts/login/"
    assert stranger.get("/messages/").status_code == 302


def test_a_wrong_password_is_told_without_saying_what_was_wrong(claire, stranger):
    wrong = stranger.post("/accounts/login/", {"login": "claire@exemple.fr", "password": "non non non non"})
    nobody = stranger.post("/accounts/login/", {"login": "paul@exemple.fr", "password": "non non non non"})

    assert 'role="alert"' in wrong.content.decode()
    told = [
        re.search(r'role="alert">.*?</div></div>', a.content.decode(), re.DOTALL)[0] for a in (wrong, nobody)
    ]
    assert told[0] == told[1]
    assert "L’adresse email ou le mot de passe n’est pas le bon." in told[0]
    assert "non non non non" not in wrong.content.decode()


def test_guessing_passwords_is_throttled(claire, stranger):
    form = {"login": "claire@exemple.fr", "password": "non non non non"}
    for _guess in range(5):
        stranger.post("/accounts/login/", form)

    answer = stranger.post("/accounts/login/", form | {"password": PASSWORD})

    assert answer.status_code == 200
    assert "_auth_user_id" not in stranger.session


def test_whoever_guesses_cannot_have_the_guesses_forgotten(claire, stranger):
    form = {"login": "claire@exemple.fr", "password": "non non non non"}
    for _guess in range(5):
        stranger.post("/accounts/login/", form)
    for number in range(400):
        cache.set(f"z{number}", 1)

    stranger.post("/accounts/login/", form | {"password": PASSWORD})

    assert "_auth_user_id" not in stranger.session


def test_nobody_signs_up(claire, stranger):
    form = {"email": "intrus@exemple.fr", "password1": PASSWORD, "password2": PASSWORD}

    assert "On ne s’inscrit pas ici" in text(stranger.get("/accounts/signup/"))
    assert "On ne s’inscrit pas ici" in text(stranger.post("/accounts/signup/", form))
    assert User.objects.count() == 1


def test_a_person_changes_their_password(claire, page):
    other = Client()
    other.force_login(claire)
    new = "une barque sous la lune"

    answer = page.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": new, "password2": new},
        follow=True,
    )

    assert "Votre mot de passe est changé." in text(answer)
    claire.refresh_from_db()
    assert claire.check_password(new)
    assert other.get("/connections/").status_code == 302, "another browser is signed out"
    assert page.get("/connections/").status_code == 200


def test_the_language_is_kept_with_the_person(claire, page):
    assert "Connexions email (SMTP)" in text(page.get("/connections/"))

    answer = page.post("/language/", {"language": "en", "next": "/connections/"}, follow=True)

    assert "Email connections (SMTP)" in text(answer)
    claire.refresh_from_db()
    assert claire.language == "en"
    elsewhere = Client(headers={"accept-language": "fr"})
    elsewhere.force_login(claire)
    assert "Email connections (SMTP)" in text(elsewhere.get("/connections/"))


def test_a_stranger_chooses_a_language_by_cookie(claire, stranger):
    stranger.post("/language/", {"language": "en", "next": "/accounts/login/"})

    assert "Stay signed in" in text(stranger.get("/accounts/login/"))


@pytest.mark.parametrize("language", ["xx", "", "../../x"])
def test_an_unknown_language_changes_nothing(claire, page, language):
    page.post("/language/", {"language": language, "next": "/connections/"})

    claire.refresh_from_db()
    assert claire.language == "fr"
