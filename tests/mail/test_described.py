"""What fields say of a part is read in linear time, whatever is written, and written so that all can read."""

from __future__ import annotations

import email
import time
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.described import Described, described
from vaguemestre.mail.parts import part_of


@pytest.mark.parametrize(
    ("value", "kind", "parameters"),
    [
        ("text/plain", "text/plain", {}),
        ("Text/HTML ; Charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        ('multipart/mixed; boundary="a;b=c"; x=1', "multipart/mixed", {"boundary": "a;b=c", "x": "1"}),
        ('a/b; name="say \\"hi\\""', "a/b", {"name": 'say "hi"'}),
        ("a/b; x=1; x=2", "a/b", {"x": "1"}),
        ("attachment; filename*=utf-8''%C3%A9t%C3%A9.pdf", "attachment", {"filename": "été.pdf"}),
        ("attachment; filename*=iso-8859-1'fr'%E9.pdf", "attachment", {"filename": "é.pdf"}),
        ("attachment; filename*1*=t%C3%A9; filename*0*=utf-8''%C3%A9", "attachment", {"filename": "été"}),
        ('attachment; filename*0="a b"; filename*1=c', "attachment", {"filename": "a bc"}),
        ("attachment; filename*=punycode''%C3%A9", "attachment", {"filename": "é"}),
        ('a/b; x="unclosed; y=2', "a/b", {"x": '"unclosed', "y": "2"}),
        ("", "", {}),
    ],
)
def test_kind_and_parameters_are_read(value, kind, parameters):
    found = described(value)
    assert (found.kind, found.parameters) == (kind, parameters)


@given(st.dictionaries(st.sampled_from(["name", "filename", "x"]), st.text(max_size=300), max_size=3))
def test_what_is_written_is_read_as_it_was(parameters):
    wire = Described("attachment", parameters).wire("Content-Disposition")
    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) < 250
    unfolded = wire.decode().partition(": ")[2].replace("\r\n", "").strip()
    # Half a surrogate is no text, and blanks around a value are not kept by everybody.
    whole = {name: text.encode("utf-8", "replace").decode() for name, text in parameters.items()}
    assert _stripped(described(unfolded).parameters) == _stripped(whole)


_VALUES = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"\\'%*"), max_size=40
)


@given(st.dictionaries(st.sampled_from(["name", "charset", "x-y"]), _VALUES.filter(bool), max_size=3))
def test_what_the_standard_library_reads_is_read_alike(parameters):
    value = "; ".join(["text/plain", *(f'{name}="{text}"' for name, text in parameters.items())])
    message = email.message_from_string(f"Content-Type: {value}\n\n", policy=policy.compat32)
    assert described(value).parameters == dict(message.get_params(failobj=[])[1:])


def _stripped(parameters):
    return {name: text.strip() for name, text in parameters.items()}


def test_others_read_a_name_beyond_ascii_as_we_wrote_it():
    wire = Described("attachment", {"filename": "été " * 40 + ".pdf"}).wire("Content-Disposition")
    message = email.message_from_bytes(wire + b"\r\n", policy=policy.default)
    assert message.get_filename() == "été " * 40 + ".pdf"


@pytest.mark.parametrize("unit", [";", "(", '"', "\\;", ";a*0*=", ';a="', ' ;x="\\"', "; ", "a/b;" * 3])
def test_reading_takes_linear_time(unit):
    started = time.process_time()
    described("multipart/mixed" + unit * 500_000)
    assert time.process_time() - started < 1.0


HOSTILE = {
    "nested": b"".join(b"Content-Type: multipart/x; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3_000)),
    "delimiters": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 200_000,
    "no field": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"a" * 1_000_000,
    "semicolons": b"Content-Type: multipart/mixed" + b";" * 1_000_000 + b"\r\n\r\nx\r\n",
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_taking_a_content_apart_takes_linear_time_and_never_fails(raw):
    started = time.process_time()
    part_of(raw).first("text/html")
    assert time.process_time() - started < 3.0
