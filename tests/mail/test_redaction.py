"""What opens a door is hidden; what a message is about can still be read."""

import time

import pytest

from vaguemestre.mail.redaction import DOTS, redacted


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/reset?token=abc",
        "HTTP://EXAMPLE.ORG/r",
        "www.example.org/r",
        "example.org/reset/abcdef",
        "myapp://open/abc",
        "mailto:list@example.org?subject=x",
        "483920",
        "483 920",
        "48-39-20",
        "4839 2011 5823",
        "K7QX-22ZP",
        "ABCD-EFGH",
        "QWERTZ",
        "eyJhbGciOi1",
        "g-483920",
    ],
)
def test_links_and_codes_are_hidden(text):
    assert redacted(f"Bonjour, voici {text} pour vous.") == f"Bonjour, voici {DOTS} pour vous."


@pytest.mark.parametrize(
    "announced", ["Code : ", "Your password is: ", "Mot de passe=", "Codice: ", "Ta clé : "]
)
def test_what_is_announced_as_a_secret_is_hidden_whatever_it_looks_like(announced):
    assert redacted(f"{announced}cheval-pile-agrafe\nÀ demain") == f"{announced}{DOTS}\nÀ demain"


@pytest.mark.parametrize(
    "text",
    [
        "Bonjour Léa, votre mot de passe a été changé.",
        "Le 3 mai à 14 h, salle 12",
        "PDF et HTML",
        "À bientôt, l’équipe",
    ],
)
def test_ordinary_words_stay(text):
    assert redacted(text) == text


@pytest.mark.parametrize("unit", ["1", "-", "a-", "a.", "_-", "AB-", "é-", "a+", "www.", "12 "])
def test_looking_through_a_long_text_takes_linear_time(unit):
    started = time.process_time()
    redacted(unit * (20_000 // len(unit)))
    assert time.process_time() - started < 0.5


def test_a_link_is_hidden_however_long_what_stands_before_it_is():
    assert redacted("x" * 60 + "://evil.example/abc") == "x" * 20 + DOTS
