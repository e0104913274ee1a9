"""French is complete."""

import re

import polib
import pytest

from check_translations import PACKAGE, faults_of, marked_texts


@pytest.fixture(scope="module")
def marked():
    return marked_texts()


@pytest.fixture
def french():
    return polib.pofile(str(PACKAGE / "console/locale/fr/LC_MESSAGES/django.po"))


def test_every_text_is_translated(marked, french):
    assert len(marked) > 600
    assert list(faults_of(french, marked)) == []


def test_the_check_sees_texts_of_python_and_of_templates(marked):
    assert "Use as default sender" in marked
    assert "Which one serves the rest?" in marked
    assert "%(number)s revoked key" in marked
    assert "(without subject)" in marked


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda po: po.remove(po.find("Server")), "not in the catalogue"),
        (lambda po: setattr(po.find("Server"), "msgstr", ""), "not translated"),
        (lambda po: po.find("Server").flags.append("fuzzy"), "fuzzy"),
        (lambda po: setattr(po.find("%(name)s active"), "msgstr", "%(nom)s : actif"), "other placeholders"),
        (lambda po: po.append(polib.POEntry(msgid="Gone", msgstr="Parti")), "no longer in the source"),
    ],
)
def test_the_check_finds_each_kind_of_fault(marked, french, change, fault):
    change(french)

    (told,) = faults_of(french, marked)
    assert fault in told


def test_french_typography(french):
    """Unbreakable blanks before double punctuation and within quotation marks; no straight apostrophe."""
    for entry in french:
        for text in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert "'" not in text, text
            assert not re.search(r" [;!?]| :(?!//)|« | »|\"", text), text
