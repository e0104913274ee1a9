"""Templates in the ledger: the stored before the starters, by language and stream; faults at their line."""

import pytest

from ledger.kit import ACTOR, NOW, connect, later
from vaguemestre.ledger import forms, streams, templates
from vaguemestre.ledger.models import Template, Version
from vaguemestre.ledger.refusals import Conflict, Missing, Refusal

pytestmark = pytest.mark.django_db


def save(key="invoice", language="fr", **values):
    return templates.save(key, language, {"subject": "S {{ number }}", "text": "T"} | values, ACTOR, NOW)


def faults(act):
    with pytest.raises(Refusal) as caught:
        act()
    return [(fault.field, fault.code) for fault in caught.value.errors]


def test_a_stored_template_takes_the_place_of_a_starter_until_it_is_deleted():
    assert templates.render("invoice", "fr", {"number": "1"}).subject == "Facture 1"
    save(subject="Note {{ number }}")
    assert templates.render("invoice", "fr", {"number": "1"}).subject == "Note 1"
    assert templates.render("invoice", "it", {"number": "1"}).subject == "Fattura 1"
    templates.delete("invoice", "fr", "", ACTOR, NOW)
    assert templates.render("invoice", "fr", {"number": "1"}).subject == "Facture 1"
    assert list(Version.objects.values_list("action", flat=True)) == ["created", "deleted"]


def test_a_streams_own_template_comes_before_the_one_for_all_but_not_in_another_language():
    streams.create({"key": "rents"}, ACTOR, NOW)
    save(subject="for all")
    save(subject="rents", stream="rents")
    assert templates.best("invoice", "fr", "rents").sources.subject == "rents"
    assert templates.best("invoice", "fr", "invoices").sources.subject == "for all"
    assert templates.best("invoice", "it", "rents").sources.subject == "Fattura {{ number }}"
    with pytest.raises(Conflict, match="delete them first"):
        streams.delete("rents", ACTOR, NOW)
    templates.delete("invoice", "fr", "rents", ACTOR, NOW)
    streams.delete("rents", ACTOR, NOW)
    assert templates.best("invoice", "fr", "rents").sources.subject == "for all"
    assert Template.objects.count() == 1


@pytest.mark.parametrize(
    ("asked", "used"), [("it", "it"), ("fr-CA", "fr"), ("de", "fr"), ("", "fr"), ("pt-BR", "fr")]
)
def test_a_language_that_is_not_there_falls_back_to_the_installations(asked, used, settings):
    settings.LANGUAGE_CODE = "fr"
    assert templates.best("report", asked).language == used


def test_one_that_is_there_in_one_language_alone_is_used_in_that():
    save("quarterly", "de")
    assert templates.render("quarterly", "it", {"number": 1}).language == "de"


def test_a_change_counts_and_the_same_again_does_not():
    assert save().version == 1
    assert save().version == 1
    assert templates.save("invoice", "fr", {"subject": "x", "html": "<p>"}, ACTOR, later(days=1)).version == 2
    assert Template.objects.get().updated_at == later(days=1)


def test_faults_are_told_at_their_part_and_nothing_is_stored():
    found = faults(lambda: save(subject="a\nb", text="{{ a", html="\n{{ a | no }}"))
    assert found == [
        ("text", "template_missing"), ("html", "template_filter"), ("subject", "template_line_break"),
    ]  # fmt: skip
    assert faults(lambda: save("No Key", "french", text=3, more="")) == [
        ("more", "unknown_field"), ("key", "template_key"), ("language", "template_language"), ("text", "not_text"),
    ]  # fmt: skip
    assert faults(lambda: save(stream="nosuch")) == [("stream", "stream_unknown")]
    assert Template.objects.count() == 0


def test_a_variable_that_is_missing_is_told_with_its_name_template_and_line():
    with pytest.raises(Refusal) as caught:
        templates.render("invoice", "fr", {})
    (fault,) = caught.value.errors
    assert (fault.field, fault.code) == ("data", "template_variable")
    assert (
        fault.message == "Template invoice (fr), subject: Line 1 uses number, which the data does not hold."
    )


def test_what_is_not_there_is_missing():
    for act in (
        lambda: templates.best("nosuch"),
        lambda: templates.find("invoice", "de"),
        lambda: templates.delete("invoice", "fr", "", ACTOR, NOW),
        lambda: templates.render("a\0b", "fr", {}),
    ):
        with pytest.raises(Missing):
            act()


def test_a_template_that_a_form_replies_by_stays_until_the_form_has_another():
    save("merci", "fr"), save("merci", "en")
    connect()
    fields = [{"name": "email", "label": "Email", "kind": "email"}]
    given = {"name": "Contact", "fields": fields, "notify": ["desk@example.org"], "template": "merci"}
    form = forms.create(given, ACTOR, NOW)
    templates.delete("merci", "en", "", ACTOR, NOW)  # the other language is left
    with pytest.raises(Conflict) as caught:
        templates.delete("merci", "fr", "", ACTOR, NOW)
    assert (caught.value.code, caught.value.facts) == ("template_in_use", {"forms": "Contact"})
    assert templates.best("merci").language == "fr"
    forms.edit(form.key, {"template": "form-reply"}, ACTOR, NOW)
    templates.delete("merci", "fr", "", ACTOR, NOW)
    assert templates.of_key("merci") == []
