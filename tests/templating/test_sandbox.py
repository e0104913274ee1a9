"""Liquid in a sandbox: what a template cannot do, and where a fault is told."""

import time

import pytest

from vaguemestre.templating import engine
from vaguemestre.templating.engine import render
from vaguemestre.templating.fault import Fault


def fault(source, part="html", **data):
    with pytest.raises(Fault) as caught:
        render(part, source, data)
    return caught.value.code, caught.value.line, caught.value.message


@pytest.mark.parametrize(
    ("source", "line", "name"),
    [
        ("a\n{{ x }}\n{{ due }}", 3, "due"),
        ("{{ x.y }}", 1, "x.y"),
        ("\n\n{% for one in many %}a{% endfor %}", 3, "many"),
        ("{{ x.items }}", 1, "x.items"),
        ("{{ x.__class__ }}", 1, "x.__class__"),
    ],
)
def test_a_variable_that_the_data_does_not_hold_is_a_fault_at_its_line(source, line, name):
    assert fault(source, x={"a": 1}) == (
        "template_variable", line, f"Line {line} uses {name}, which the data does not hold."
    )  # fmt: skip


def test_if_and_default_may_ask_whether_a_variable_is_there():
    assert render("text", "{% if z %}a{% else %}b{% endif %}{{ z | default: 'd' }}", {}) == "bd"


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("a\nb {{ x", "template_missing", 2),
        ("{% if x %}a\nb\n", "template_missing", 3),
        ("{{ 'x }}", "template_syntax", 1),
        ("{% nosuch %}", "template_misplaced", 1),
        ("{% include 'x' %}", "template_misplaced", 1),
        ("{% render 'x' %}", "template_misplaced", 1),
        ("\n{% if x %}{{ x | safe }}{% endif %}", "template_filter", 2),
        ("\n{{ x | nosuch }}", "template_filter", 2),
        ("\n{{ x | date }}", "template_value", 2),
        ("{{ 1 | divided_by: 0 }}", "template_value", 1),
        ("{{ (1..1000000000) | join }}", "template_range", 1),
        ("{% if (1..1000000000) contains 'a' %}{% endif %}", "template_range", 1),
    ],
)
def test_what_cannot_be_understood_or_made_is_a_fault_at_its_line(source, code, line):
    assert fault(source, x="hum")[:2] == (code, line)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{% for i in (1..100000000) %}a{% endfor %}", "template_limit"),
        ("{% for i in (1..100000000) reversed %}a{% endfor %}", "template_limit"),
        ("{% for i in (-100000000..1) offset: 100000001 %}a{% endfor %}", "template_limit"),
        ("{{ x" + " | append: x" * 9 + " | size }}", "template_limit"),
        ("{{ x" + " | prepend: x" * 9 + " | size }}", "template_limit"),
        ("{% for i in (1..900) %}{% for j in (1..90) %}a{% endfor %}{% endfor %}", "template_limit"),
        ("{% assign a = 'xxxxxxxxxx' %}{% for i in (1..100) %}{% assign a = a | append: a %}{% endfor %}", "template_limit"),
        ("{% assign a = 99999999 %}{% for i in (1..1000) %}{% assign a = a | times: a %}{% endfor %}", "template_value"),
        ("{{ x | replace: '', x }}", "template_value"),
        ("{{ x | replace: 'y', x }}", "template_value"),
        ("{{ x | split: '' | join: '12345678' }}", "template_value"),
        ("{% for i in (1..9) %}{{ x }}{% endfor %}", "template_limit"),
        ("a" * 200_001, "template_long"),
    ],
)  # fmt: skip
def test_what_takes_too_much_ends_at_once(source, code):
    began = time.thread_time()
    assert fault(source, x="y" * 200_000)[0] == code
    assert time.thread_time() - began < 1


def test_each_item_once_is_found_without_comparing_each_with_all():
    many = [{"a": number} for number in range(20_000)]
    began = time.thread_time()
    assert render("text", "{{ many | uniq | size }}", {"many": many + many[:9]}) == "20000"
    assert time.thread_time() - began < 1
    some = [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"b": "x", "a": 1}, {"b": "z"}]
    assert render("text", "{{ some | uniq | map: 'b' | join }}", {"some": some}) == "x y z"
    assert render("text", "{{ some | uniq: 'a' | map: 'b' | join }}", {"some": some}) == "x z"


def test_a_render_has_a_limit_of_processor_time(monkeypatch):
    assert engine.SECONDS == 2.0
    monkeypatch.setattr(engine, "SECONDS", 0.2)
    chain = "{{ x" + " | upcase | downcase" * 2_000 + " | slice: 0 }}"
    began = time.thread_time()
    assert fault("{% for i in (1..9000) %}" + chain + "{% endfor %}", x="y" * 20_000)[0] == "template_limit"
    assert 0.2 <= time.thread_time() - began < 1.2
    began, many = time.thread_time(), list(range(100_000))
    whens = "{% case a %}{% when " + "b," * 20_000 + "1 %}{% endcase %}"  # one node
    assert fault(whens, a=many, b=[*many[:-1], 0])[0] == "template_limit"
    assert 0.2 <= time.thread_time() - began < 2


def test_every_value_in_html_is_escaped_whatever_a_template_does_with_it():
    evil = '<img src=x onerror="a">'
    for made in (
        "{{ x }}",
        "{% capture q %}{{ x }}{% endcapture %}{{ q }}",
        "{{ '<b>' | append: x }}",
        "{{ '<i>X</i>' | replace: 'X', x }}",
        "{{ x | split: '' | join: '' }}",
        "{{ x | upcase }}",
        "{{ x | newline_to_br }}",
        "{{ x | escape | remove: 'y' }}",
        "{{ list | join: '<br>' }}",
        "{{ x | default: 'a' }}",
        "{{ none | default: x }}",
        "{% assign y = x %}{{ y | strip }}",
        "{{ list | first }}",
        "{{ x | slice: 0, 4 }}",
    ):
        assert "<img" not in render("html", made, {"x": evil, "list": [evil, evil]}).lower(), made


def test_text_and_subject_are_not_escaped():
    assert render("subject", "{{ x }}", {"x": "a & b <c>"}) == "a & b <c>"


@pytest.mark.parametrize(
    ("language", "made"),
    [
        ("fr", "27 novembre 2026 1\u202f234,50\xa0€ 1\u202f234,5"),
        ("en", "November 27, 2026 €1,234.50 1,234.5"),
        ("it", "27 novembre 2026 1.234,50\xa0€ 1.234,5"),
        ("xx", "November 27, 2026 €1,234.50 1,234.5"),
    ],
)
def test_days_and_amounts_are_written_as_the_language_does(language, made):
    data = {"d": "2026-11-27", "a": "1234.50", "language": language}
    assert render("text", "{{ d | date }} {{ a | money: 'EUR' }} {{ a | number }}", data) == made
