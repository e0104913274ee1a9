"""What a visitor wrote, checked; which names greet; which addresses nobody reads."""

import pytest

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.automatic import is_automatic
from vaguemestre.policy.form_field import Field, Kind, fill, parse_fields, plain_name


def codes(kind, given, **more):
    return [fault.code for fault in fill([Field("x", "X", kind, **more)], {"x": given}).faults]


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (Kind.TEXT, "Une ligne", "deux\nlignes"),
        (Kind.NAME, "Léa", "Léa\x00"),
        (Kind.LINES, "a\r\nb\tc", "a\x1b[31m"),
        (Kind.EMAIL, "lea@exemple.org", "lea@exemple.org, max@exemple.org"),
        (Kind.PHONE, "+33 (0)4 72 00 00 00", "appelez-moi"),
        (Kind.NUMBER, "12,50", "1e9"),
        (Kind.DATE, "2026-12-31", "31/12/2026"),
    ],
)
def test_each_kind_takes_what_it_is_for(kind, right, wrong):
    assert codes(kind, right) == []
    assert len(codes(kind, wrong)) == 1


def test_a_choice_is_one_of_the_answers_and_a_box_is_ticked_or_not():
    assert codes(Kind.CHOICE, "Devis", choices=("Devis", "Autre")) == []
    assert codes(Kind.CHOICE, "Rien", choices=("Devis", "Autre")) == ["field_choice"]
    ticked = fill([Field("x", "X", Kind.CHECKBOX)], {"x": True}).answers
    assert [text for _, text in ticked] == ["on"]
    assert fill([Field("x", "X", Kind.CHECKBOX)], {}).answers == ()


def test_lengths_are_bounded_and_what_is_needed_is_asked_for():
    assert codes(Kind.TEXT, "x" * 500) == []
    assert codes(Kind.TEXT, "x" * 501) == ["field_long"]
    assert codes(Kind.LINES, "x" * 10_001) == ["field_long"]
    assert codes(Kind.TEXT, "xxxx", longest=3) == ["field_long"]
    assert codes(Kind.TEXT, "  ", required=True) == ["missing"]
    assert codes(Kind.TEXT, {"a": 1}) == ["not_text"]


@pytest.mark.parametrize("name", ["Léa Marchand", "Jean-Luc d’Arc", "J. R. Martin", "O'Neil", "李小龍"])
def test_a_name_greets(name):
    assert plain_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "spam.example",
        "Visitez www.x",
        "=SUM(1)",
        "http://x",
        "a@b",
        "<b>x</b>",
        "gagnez 1000",
        "x" * 61,
        "a  b",
    ],
)
def test_what_is_no_plain_name_does_not(name):
    assert plain_name(name) == ""


@pytest.mark.parametrize(
    "local", ["mailer-daemon", "No.Reply", "do_not_reply", "owner-x", "x-request", "postmaster"]
)
def test_a_program_is_told_by_its_address(local):
    assert is_automatic(Mailbox.parse(f"{local}@exemple.org"))


@pytest.mark.parametrize(
    "local", ["lea", "reply", "postmasters", "noreen", "requests", "bounty", "denis.owner"]
)
def test_a_person_is_not(local):
    assert is_automatic(Mailbox.parse(f"{local}@exemple.org")) is False


def test_fields_are_refused_where_they_are_wrong():
    def at(*fields):
        with pytest.raises(Invalid) as refused:
            parse_fields(list(fields))
        return refused.value.field, refused.value.code

    good = {"name": "a", "label": "A"}
    assert at() == ("fields", "form_fields")
    assert at(good, good) == ("fields[1].name", "field_name_twice")
    assert at({"name": "website", "label": "A"}) == ("fields[0].name", "field_name")
    assert at({"name": "_token", "label": "A"}) == ("fields[0].name", "field_name")
    assert at({"name": "a", "label": ""}) == ("fields[0].label", "field_label")
    assert at(good | {"kind": "choice"}) == ("fields[0].choices", "field_choices_kind")
    assert at(good | {"kind": "email"}, {"name": "b", "label": "B", "kind": "email"}) == (
        "fields",
        "field_emails",
    )
