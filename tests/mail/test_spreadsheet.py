"""Rows for a spreadsheet program."""

import csv
import io

import pytest

from vaguemestre.mail.spreadsheet import sheet


def read(raw):
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))


def test_rows_come_out_as_they_went_in():
    rows = [["Büro, Paris", 'say "yes"', "two\nlines"], ["", "1284", "'quoted'"]]
    raw = sheet(rows)
    assert read(raw) == rows
    assert raw.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in raw


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+33", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", '=HYPERLINK("x")', "\u00a0=1"],
)  # fmt: skip
def test_no_text_is_a_formula(text):
    assert read(sheet([["safe", text]])) == [["safe", f"'{text}"]]


def test_numbers_stay_numbers():
    assert sheet([[-5, 7, "a-b"]]).decode("utf-8-sig") == '-5,7,"a-b"\r\n'
