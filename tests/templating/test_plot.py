"""Plots, read back from their bytes."""

import struct
import zlib

import pytest

from vaguemestre.templating.plot import HEIGHT, WIDTH, Ink, bars

FLOOR = HEIGHT - 56


def chunks(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(kind + data),)
        found[kind] = data
        at += 12 + length
    return found


def pixels(png):
    """Rows of palette entries; each row begins with its filter, which is none."""
    raw = zlib.decompress(chunks(png)[b"IDAT"])
    rows = [raw[start : start + WIDTH + 1] for start in range(0, len(raw), WIDTH + 1)]
    assert {row[0] for row in rows} == {0}
    return [row[1:] for row in rows]


def heights(png, ink, count):
    """How many pixels of ink stand in the middle of each slot."""
    slot, drawn = (WIDTH - 48) // count, pixels(png)
    return [sum(row[24 + slot * n + slot // 2] == ink for row in drawn) for n in range(count)]


def test_it_is_a_png_of_its_size_with_a_palette():
    found = chunks(bars([1, 2], [3, 4], Ink.GOOD))
    assert list(found) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", found[b"IHDR"]) == (WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    assert found[b"PLTE"][3 * Ink.GOOD :][:3] == bytes.fromhex("1c6349")
    assert len(pixels(bars([1, 2], [3, 4], Ink.GOOD))) == HEIGHT


def test_bars_are_as_tall_as_their_values():
    png = bars([0, 50, 100, 1], [1, 2, 3, 4], Ink.BAD)
    assert heights(png, Ink.BAD, 4) == [0, 128, 256, 3]
    assert pixels(png)[FLOOR][WIDTH // 2] == Ink.WORDS
    assert pixels(png)[0][0] == Ink.GROUND


def test_a_little_is_not_nothing():
    assert heights(bars([1, 100_000], [1, 2], Ink.GOOD), Ink.GOOD, 2) == [2, 256]


@pytest.mark.parametrize("values", [[], [0], [0] * 7, [10**12] * 7])
def test_any_values_are_drawn_within_the_picture(values):
    assert {len(row) for row in pixels(bars(values, range(len(values)), Ink.GOOD))} == {WIDTH}
