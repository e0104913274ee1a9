"""French and Italian are complete, and written as they are printed."""

import gettext
import io
import re
from datetime import date

import polib
import pytest
from django.utils import translation
from django.utils.dates import MONTHS, MONTHS_3, MONTHS_ALT, MONTHS_AP, WEEKDAYS, WEEKDAYS_ABBR
from django.utils.formats import date_format

from check_translations import LANGUAGES, PACKAGE, catalogue_of, faults_of, marked_texts
from compile_messages import machine_object

DATES = (MONTHS, MONTHS_3, MONTHS_ALT, MONTHS_AP, WEEKDAYS, WEEKDAYS_ABBR)


@pytest.fixture(scope="module")
def marked():
    return marked_texts()


@pytest.fixture
def french():
    return catalogue_of("fr")


@pytest.fixture
def italian():
    return catalogue_of("it")


def texts_of(catalogue):
    for entry in catalogue:
        yield from entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(marked, language):
    assert len(marked) > 1000
    assert list(faults_of(catalogue_of(language), marked)) == []


def test_the_languages_list_their_texts_in_the_same_order(french, italian):
    assert [entry.msgid for entry in italian] == [entry.msgid for entry in french]


def test_no_word_of_ours_takes_the_place_of_a_month_or_a_day(french, italian):
    # A catalogue of ours goes before Django's own: the head of a column made of 1 May "1 Peut".
    with translation.override("en"):
        names = {str(name) for table in DATES for name in table.values()}
    assert names.isdisjoint(entry.msgid for catalogue in (french, italian) for entry in catalogue)
    with translation.override("fr"):
        assert date_format(date(2030, 5, 1), "DATE_FORMAT") == "1 mai 2030"


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
        (lambda po: po.append(polib.POEntry(msgid="Server", msgstr="Serveur")), "twice in the catalogue"),
    ],
)
def test_the_check_finds_each_kind_of_fault(marked, french, change, fault):
    change(french)

    (told,) = faults_of(french, marked)
    assert fault in told


def test_french_typography(french):
    """Unbreakable blanks before double punctuation and within quotation marks; no straight apostrophe."""
    for text in texts_of(french):
        assert "'" not in text, text
        assert not re.search(r" [;!?]| :(?!//)|« | »|\"", text), text


def test_italian_typography(italian):
    """Nothing before punctuation nor within quotation marks; no straight apostrophe; accents as they are read."""
    for text in texts_of(italian):
        assert not re.search(r"['\"“”]", text), text
        assert not re.search(r"\s[;!?,»]|\s:(?!//)|«\s|\s\.(?!\w)|  ", text), text
        assert not re.search(r"\b(perchè|finchè|affinchè|poichè|nè|sè|pò)\b|\bE’|qual’è", text), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_says_what_polib_reads(language, tmp_path):
    text = (PACKAGE / f"console/locale/{language}/LC_MESSAGES/django.po").read_text()
    catalogue = catalogue_of(language)
    compiled = tmp_path / "django.mo"
    compiled.write_bytes(machine_object(text))

    with compiled.open("rb") as file:
        read = gettext.GNUTranslations(file)

    for entry in catalogue:
        if entry.msgid_plural:
            forms = [read.ngettext(entry.msgid, entry.msgid_plural, number) for number in (1, 5)]
            assert forms == list(entry.msgstr_plural.values())
        else:
            assert read.gettext(entry.msgid) == entry.msgstr
    assert {entry.msgid for entry in polib.mofile(str(compiled))} == {entry.msgid for entry in catalogue}


def test_a_fuzzy_or_empty_entry_is_not_compiled():
    text = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "a"\nmsgstr ""\n\n'
    text += '#, fuzzy\nmsgid "b"\nmsgstr "non"\n\n#~ msgid "c"\n#~ msgstr "parti"\n\nmsgid "d"\nmsgstr ""\n"de " "ux"\n'

    compiled = machine_object(text.replace('"de " "ux"', '"de "\n"ux"'))

    read = gettext.GNUTranslations(io.BytesIO(compiled))
    assert [read.gettext(key) for key in "abcd"] == ["a", "b", "c", "de ux"]
