"""What a server repeats of a secret is masked, whatever it made of it, and nothing else is."""

from __future__ import annotations

import base64
import html
import textwrap
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted.client import PASSWORD, SHORT, hop_to
from scripted.server import ScriptedServer
from vaguemestre.mail.secret import Secret
from vaguemestre.smtp.masking import Mask
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.session import SessionFailed

LOGIN = "office@example.org"
WORD = "Kanarien & vogel/7Q+é"


def masked(*lines: str, word=WORD, login=LOGIN) -> list[str]:
    said = tuple(line.encode() for line in lines)
    return [line.decode() for line in Mask(login, Secret(word), "***")(said)]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "echo",
    [
        WORD,
        WORD.upper().replace("É", "é"),
        WORD.replace(" ", ""),
        html.escape(WORD),
        quote(WORD),
        quote(WORD, safe=""),
        encoded(WORD),
        encoded(WORD).upper(),
        base64.urlsafe_b64encode(WORD.encode()).decode(),
        encoded(f"\0{LOGIN}\0{WORD}"),
        encoded(f"{LOGIN}:{WORD}"),
        encoded(f"\0{LOGIN}\0{WORD}")[:40],
        encoded(WORD)[:10],
    ],
)
def test_whatever_a_server_makes_of_a_secret_is_masked(echo):
    assert masked(f"5.7.8 wrong: {echo} bye") == ["5.7.8 wrong: *** bye"]


@pytest.mark.parametrize("word", ["abcd", "abcdefg", "café"])
def test_a_short_secret_is_masked_in_every_pair_with_its_login(word):
    pairs = (f"\0{LOGIN}\0{word}", f"{LOGIN}:{word}", f"{LOGIN}\0{LOGIN}\0{word}", word)
    for pair in pairs:
        assert masked(f"no {encoded(pair)}.", word=word) == ["no ***."]


@given(st.binary(max_size=40), st.text(min_size=12, max_size=40), st.binary(max_size=40))
def test_a_secret_within_base64_is_always_found(before, word, after):
    blob = base64.b64encode(before + word.encode() + after).decode()
    assert "***" in masked(blob, word=word)[0]


@pytest.mark.parametrize("lead", ["", "5.7.8 ", "  "])
@pytest.mark.parametrize("echo", [WORD, encoded(WORD), encoded(f"\0{LOGIN}\0{WORD}"), quote(WORD)])
def test_a_secret_that_is_folded_over_lines_is_masked_on_each(lead, echo):
    folds = [textwrap.wrap(echo, width) for width in (1, 3, 8, 11)]
    folds += [[echo[:cut], echo[cut:]] for cut in range(1, len(echo))]
    for parts in folds:
        told = masked(f"{lead}wrong: {parts[0]}", *(f"{lead}{part}" for part in parts[1:]), f"{lead}bye")
        assert "".join(told).replace(lead, "").replace(" ", "") == "wrong:" + "***" * len(parts) + "bye", (
            parts
        )


def test_a_line_of_nothing_between_two_pieces_is_left_so():
    assert masked("no: 'Kanarien &", "", "5.7.8 ", "vogel/7Q+é'") == ["no: '***", "", "5.7.8 ", "***'"]


def test_a_reply_as_long_as_any_that_is_full_of_it_is_masked_in_no_time():
    said = tuple(octet.encode() for octet in "Kanarienvogel" * 700)
    began = time.process_time()
    assert set(Mask(LOGIN, Secret("Kanarienvogel"), "***")(said)) == {b"***"}
    assert time.process_time() - began < 0.3, "it took as many times as long as there were lines"


def test_a_short_secret_that_is_cut_in_two_is_masked():
    assert masked("5.7.8 no ab", "5.7.8 cd is wrong", word="abcd") == ["5.7.8 no ***", "5.7.8 *** is wrong"]


@pytest.mark.parametrize(
    "lines", [("5.7.8 Authentication failed",), ("mx", "SIZE 5", "AUTH PLAIN LOGIN"), ("",), ()]
)
def test_what_holds_nothing_of_it_stays(lines):
    assert masked(*lines, word="auth") == list(lines)
    assert masked(*lines, word="") == list(lines)


async def test_a_password_that_a_server_repeats_over_two_lines_is_in_no_transcript(network):
    half = len(PASSWORD) // 2
    script = (
        "S: 220 mx\nC: EHLO client.example.org\n"
        r"S- 250-mx\r\n250 AUTH PLAIN\r\n"
        "\nC~ AUTH PLAIN .*\n"
        rf"S- 535-5.7.8 wrong: {PASSWORD[:half]}\r\n535 5.7.8 {PASSWORD[half:]}\r\n" + "\nC: QUIT\nS: 221 bye"
    )
    async with ScriptedServer(script) as server:
        with pytest.raises(SessionFailed) as failed:
            await open_session(hop_to(server, password=PASSWORD), network, SHORT)
    told = repr((failed.value.transcript, failed.value.trouble, str(failed.value)))
    assert "wrong: ***" in told
    assert PASSWORD[:half] not in told
    assert PASSWORD[half:] not in told
