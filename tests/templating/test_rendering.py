"""A template and data as a mail: its subject, its dress, the text made from HTML, the starters."""

import json
import time

import pytest

from vaguemestre.templating import starters
from vaguemestre.templating.fault import Fault
from vaguemestre.templating.plain import text_of
from vaguemestre.templating.rendering import Sources, compose, faults_of, sample_of


def fault(sources, **data):
    with pytest.raises(Fault) as caught:
        compose(sources, data, "fr")
    return caught.value.part, caught.value.code


@pytest.mark.parametrize(
    "sneaky", ["a\nBcc: b@example.net", "a\r\nBcc: b", "a\rb", "a\u2028b", "a\u0085b", "a\0b"]
)
def test_a_subject_never_gets_a_line_break(sneaky):
    assert fault(Sources("Hi {{ name }}", "text"), name=sneaky) == ("subject", "template_line_break")
    assert [one.code for one in faults_of(Sources(f"Hi {sneaky}", "text"))] == ["template_line_break"]


def test_every_part_tells_its_own_fault():
    found = faults_of(Sources("{{ a", "{% if %}", "\n{{ a | nosuch }}"))
    assert [(one.part, one.line) for one in found] == [("subject", 1), ("text", 1), ("html", 2)]
    assert [one.code for one in faults_of(Sources(" ", " "))] == [
        "template_body_empty",
        "template_subject_empty",
    ]


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, b"bytes"])
def test_data_is_what_json_has(value):
    assert fault(Sources("s", "t"), a=value) == ("data", "template_data")


def test_data_has_a_limit():
    assert fault(Sources("s", "t"), a="x" * 1_000_001) == ("data", "template_data_long")


def test_a_piece_of_html_is_dressed_and_a_document_stays_as_it_is():
    piece = compose(Sources("S & T", html="<p class='soft'>{{ a }}</p>"), {"a": "<b>"}, "it").html
    assert '<html lang="it">' in piece
    assert "<title>S &amp; T</title>" in piece
    assert '<p class="soft" style="' in piece
    assert "&lt;b&gt;" in piece
    assert "prefers-color-scheme: dark" in piece
    assert 'name="color-scheme" content="light dark"' in piece
    document = "<!doctype html><html><head><style>p{color:red}</style></head><body><p>a</p></body></html>"
    assert compose(Sources("S", html=document), {}, "fr").html == (
        '<!DOCTYPE html><html><head></head><body><p style="color: red;">a</p></body></html>'
    )


def test_nothing_is_loaded_from_anywhere(tmp_path):
    (tmp_path / "secret.css").write_text("p{color:rgb(1,2,3)}")
    at = f"file://{tmp_path}/secret.css"
    html = f'<html><head><link rel="stylesheet" href="{at}"><style>@import url("{at}");</style></head><body><p>a</p></body></html>'
    assert "rgb(1" not in compose(Sources("S", html=html), {}, "fr").html


def test_text_is_made_from_html_in_a_persons_order():
    html = (
        "<style>p{}</style><h1>Bonjour</h1><p>Un <b>mot</b>,<br>deux&nbsp;lignes.</p><ul><li>un<li>deux</ul>"
        '<table><tr><th scope="row">Montant</th><td>12 €</td></tr>\n <tr><td>a</td><td>b</td></tr></table>'
        '<p><a href="https://example.org/?a=1&amp;b=2">Voir</a> <a href="mailto:a@example.org">a@example.org</a>'
        ' <img src="cid:x" alt="un plan"></p><script>x()</script>'
    )
    assert text_of(html).splitlines() == [
        "Bonjour", "", "Un mot,", "deux\xa0lignes.", "", "- un", "- deux", "", "Montant: 12 €", "a b", "",
        "Voir (https://example.org/?a=1&b=2) a@example.org un plan",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "maze", ["{% for i in (1..9000) %}<div>{% endfor %}", "<table><tr><td>" * 101, "<b></b>" * 25_001]
)
def test_html_that_styles_would_be_lost_in_is_refused(maze):
    assert fault(Sources("S", html=maze)) == ("html", "template_limit")


@pytest.mark.parametrize(
    "styles",
    ["".join(f"[q{n}]~p~p{{color:red}}" for n in range(200)), "".join(f"p.a{n}{{}}" for n in range(9_000))],
)
def test_more_styles_than_can_be_compared_with_all_elements_are_refused(styles):
    assert fault(Sources("S", html=f"<style>{styles}</style>" + "<p>x</p>" * 3_000)) == (
        "html", "template_limit"
    )  # fmt: skip
    few = Sources("S", html="<style>p:nth-child(2n) ~ p { color: red }</style>" + "<p>x</p>" * 3_000)
    assert "color: red" in (compose(few, {}, "fr").html or "")


@pytest.mark.parametrize("run", ["</td>", "<b> </b>", "<a href=x>", "<a href=x></a>"])
def test_the_text_of_html_takes_time_by_its_length(run):
    began = time.thread_time()
    text_of(run * 40_000 + "</a>" * 40_000)
    assert time.thread_time() - began < 2


def test_html_with_ends_left_out_is_no_maze():
    many = "<ul>" + "<li>a<br>" * 500 + "</ul><table>" + "<tr><td>b" * 500 + "</table>" + "<p>c" * 500
    assert compose(Sources("S", html=many), {}, "fr").html.count("<li") == 500


def test_a_text_of_ones_own_is_kept():
    made = compose(Sources("s", "own {{ a }}", "<p>other</p>"), {"a": "<1>"}, "fr")
    assert made.text == "own <1>"
    assert compose(Sources("s", "own"), {}, "fr").html is None


@pytest.mark.parametrize("key", starters.all_keys())
def test_starters_are_there_in_three_languages_and_render_with_their_sample_data(key):
    assert starters.languages(key) == ("en", "fr", "it")
    for language in ("en", "fr", "it"):
        sources = starters.starter(key, language)
        assert faults_of(sources) == []
        made = compose(sources, json.loads(starters.sample(key)), language)
        assert made.subject
        assert made.text.count("\n") > 3
        assert "http:" not in made.html
        assert "src=" not in made.html.replace('src="cid:', "")


def test_sample_data_is_made_of_what_a_template_asks_for():
    sources = Sources(
        "{{ number }}",
        "{% assign mine = 1 %}{{ mine }}{{ customer.name }}{% for line in order.lines %}{{ line.label }}{% endfor %}",
        "<p>{{ customer.city | upcase }}{{ language }}</p>{% if note %}{{ note }}{% endif %}",
    )
    made = sample_of(sources)
    assert made == {
        "number": "number", "customer": {"name": "name", "city": "city"}, "order": {"lines": []}, "note": "note",
    }  # fmt: skip
    assert sample_of(Sources("{{ a", "b")) == {}
    assert sample_of(Sources("s", "{{ [x] }}{{ y['a b'] }}")) == {"x": "x", "y": {"a b": "a b"}}


def test_the_starters_are_these():
    assert starters.all_keys() == (
        "account-notification", "alert", "form-notification", "form-reply", "invitation", "invoice", "password-reset", "report",
    )  # fmt: skip
