"""What a command prints: written, or said to be missing."""

import os
import sys

import pytest

from vaguemestre.cli import process
from vaguemestre.cli.failure import Failed, reasons
from vaguemestre.cli.output import say


@pytest.fixture
def printed_to(monkeypatch):
    """Has standard output go to a file or descriptor, as a shell has it: in blocks."""
    opened = []

    def go(target):
        opened.append(open(target, "w", encoding="latin-1"))  # noqa: PTH123, SIM115  a descriptor, too
        monkeypatch.setattr(sys, "stdout", opened[-1])

    yield go
    for file in opened:
        file.close()


def test_l05_what_could_not_be_written_is_no_success(printed_to):
    printed_to("/dev/full")
    with pytest.raises(Failed, match="Standard output cannot be written: No space left on device"):
        say("{}")


def test_a_reader_that_went_away_is_nobodys_error(printed_to):
    reader, writer = os.pipe()
    os.close(reader)
    printed_to(writer)
    say("nobody reads this")


def test_a_terminal_without_the_letter_gets_an_escape(printed_to, tmp_path):
    printed_to(tmp_path / "said")
    process.open_standard_streams()
    say("“é”")
    assert (tmp_path / "said").read_bytes() == b"\\u201c\xe9\\u201d\n"


def test_an_end_of_input_at_a_prompt_is_one_sentence():
    assert reasons(EOFError()) == ["Nothing was typed."]
