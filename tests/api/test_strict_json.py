"""The quick reading of JSON says what the strict one says, or nothing."""

import json
import re
import time

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from vaguemestre.doors.api import strict_json
from vaguemestre.doors.api.body import _strings
from vaguemestre.doors.api.problems import Rejected
from vaguemestre.doors.api.strict_json import DEPTH, parsed

pytestmark = pytest.mark.any_database

PIECES = [
    "{", "}", "[", "]", ",", ":", ": ", '"a"', '"b"', '":"', '"\\u003a"', '"\\u003A"', '"\\u003b"', '"\\\\u003a"',
    '"\\""', '"\\u0000"', '"\\u001F"', '"\\u007f"', '"\\b"', '"\\\\b"', '"\x7f"', '"\\ud800"', '"\\ud83d\\ude00"', '"é"', '"\x01"', "1", "-0", "1.5", "1e999",
    "12345678901234567890123", "NaN", "true", "false", "null", " ", "\n", "\ufeff",
]  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")
WORDS = some.sampled_from(
    [
        "a",
        "b",
        ":",
        "a:b",
        'say "x": y',
        "\n\f",
        "\\",
        "\0",
        "\b",
        "\x1f",
        "\x7f",
        "\\b",
        "\ud800",
        "é",
        "😀",
        "",
    ]
)
VALUES = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(WORDS, inner, max_size=3),
)


def strictly(raw):
    try:
        return strict_json._strictly(raw)
    except Rejected:
        return Rejected


def agreed(raw):
    """Whether the quick one said something; it must be what the strict one says."""
    quick = strict_json._quickly(raw)
    if quick is not None:
        assert repr(quick[0]) == repr(strictly(raw))
        assert quick[1] or not holds_control_characters(quick[0])
    return quick is not None


def holds_control_characters(values):
    return any(CONTROL.search(text) for _, text in _strings(values, ""))


@given(some.lists(some.sampled_from(PIECES), max_size=12).map("".join))
@example('{"a":"\\u003a","b":1,"b":2}')
@example('{"a":"\\u003a","b":"c","b":"d"}')
@example('{"b":"c","b":"d"}')
@example('{"b":{"b":"c"},"b":"::"}')
def test_what_the_quick_reading_says_the_strict_one_says(text):
    agreed(text.encode())


@given(VALUES, some.booleans(), some.sampled_from([None, 1]))
def test_whatever_an_encoder_writes_is_read_as_it_was(values, ascii_only, indent):
    text = json.dumps(values, ensure_ascii=ascii_only, indent=indent)
    raw = text.encode(errors="replace")
    agreed(raw)
    found, suspect = parsed(raw)
    assert repr(found) == repr(json.loads(raw))
    assert suspect or not holds_control_characters(found)


@pytest.mark.parametrize("write", [json.dumps, orjson.dumps])
def test_a_usual_message_is_read_quickly(write):
    usual = {
        "to": ["ann@example.net"],
        "from": {"email": "zoe@example.org", "name": "Zoé: à vous"},
        "text": "One line,\nand 😀 in the next.\n",
        "html": '<p style="color: #333">One <a href="https://example.org/">line</a></p>\n',
        "tags": ["a:b"],
        "stream": None,
    }
    written = write({"messages": [usual] * 3})
    raw = written if isinstance(written, bytes) else written.encode()
    assert agreed(raw)
    assert parsed(raw) == ({"messages": [usual] * 3}, False)


def test_what_is_large_is_not_copied_and_read_in_no_time():
    large = b'{"a":"' + b"x" * 30_000_000 + b'\\n"}'
    assert strict_json._quickly(large) is None
    started = time.process_time()
    values, suspect = parsed(large)
    assert (len(values["a"]), suspect) == (30_000_001, False)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_as_many_levels_are_read_as_promised_and_none_more(opening):
    closing = "]" if opening == "[" else "}"
    deepest = opening * (DEPTH - 1) + "[]" + closing * (DEPTH - 1)
    assert parsed(deepest.encode())[0] == json.loads(deepest)
    with pytest.raises(Rejected):
        parsed(f"[{deepest}]".encode())
