"""What a server said, safe to store and to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.reply import TEXT_LIMIT, EnhancedStatus, Reply, printable


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Ok: queued", "Ok: queued"),
        ("été".encode(), "été"),
        ("été".encode("latin-1"), "été"),
        (b"a\x00b", "a\\x00b"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u{202e}b"),
        ("a\u2028b", "a\\u{2028}b"),
        ("a\ud800b", "a\\u{d800}b"),
        ("a\r\nb", "a\\x0d\nb"),
        ("a\tb", "a\\x09b"),
    ],
)
def test_foreign_text_is_made_inert(raw, expected):
    assert printable(raw) == expected


@given(st.binary(max_size=3000) | st.text(max_size=3000))
def test_any_text_is_short_and_printable(raw):
    safe = printable(raw)
    assert len(safe) <= TEXT_LIMIT
    assert all(unicodedata.category(character)[0] != "C" or character == "\n" for character in safe)


@given(st.lists(st.text(max_size=20).filter(lambda line: "\n" not in line), max_size=5))
def test_lines_are_made_safe_each_by_itself(lines):
    assert printable("\n".join(lines)) == "\n".join(map(printable, lines))


def test_long_text_is_cut_with_an_ellipsis():
    assert printable("x" * 3000) == "x" * 1999 + "…"
    assert printable("abcdef", 4) == "abc…"
    assert printable("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    ("code", "text", "enhanced"),
    [
        (250, "2.0.0 Ok", EnhancedStatus(2, 0, 0)),
        (550, "5.1.1 no such user", EnhancedStatus(5, 1, 1)),
        (550, "5.7.509", EnhancedStatus(5, 7, 509)),
        (550, "4.1.1 class differs", None),
        (550, "no such user", None),
        (550, "5.1.1no blank", None),
        (550, "3.1.1 x", None),
        (550, "5.1.1111 x", None),
        (250, "", None),
    ],
)
def test_the_enhanced_status_counts_only_where_it_agrees(code, text, enhanced):
    assert Reply(code, text).enhanced == enhanced


@pytest.mark.parametrize("code", [0, 99, 199, 600, 999])
def test_what_is_no_reply_code_is_no_reply(code):
    with pytest.raises(ValueError, match="no reply code"):
        Reply(code, "x")


@pytest.mark.parametrize(
    ("code", "flags"),
    [
        (250, (True, False, False, False)),
        (354, (False, True, False, False)),
        (451, (False, False, True, False)),
        (550, (False, False, False, True)),
    ],
)
def test_a_reply_answers_for_its_class(code, flags):
    reply = Reply(code, "")
    assert (reply.positive, reply.intermediate, reply.transient, reply.permanent) == flags
    assert str(reply) == str(code)
