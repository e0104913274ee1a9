"""A bar plot as a PNG (ISO/IEC 15948), for mail programs, which show no SVG.

Whole numbers, one bar each, its figure above it and its number below; drawn at twice its size for sharp
screens. The colours are a palette of four on an opaque ground, so that it reads on dark pages too. Letters
are left to the words around it. It fails for nothing that has as many labels as values.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

WIDTH, HEIGHT = 1088, 360  # pixels; shown at half of that
_EDGE, _FOOT, _HEAD = 24, 56, 48  # pixels beside, below and above the bars
_GLYPH_WIDTH, _GLYPH_HEIGHT = 5, 7
# Rows of five dots, the left one the highest bit.
_GLYPHS = {
    "0": (0x0E, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0E),
    "1": (0x04, 0x0C, 0x04, 0x04, 0x04, 0x04, 0x0E),
    "2": (0x0E, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1F),
    "3": (0x1F, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0E),
    "4": (0x02, 0x06, 0x0A, 0x12, 0x1F, 0x02, 0x02),
    "5": (0x1F, 0x10, 0x1E, 0x01, 0x01, 0x11, 0x0E),
    "6": (0x06, 0x08, 0x10, 0x1E, 0x11, 0x11, 0x0E),
    "7": (0x1F, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08),
    "8": (0x0E, 0x11, 0x11, 0x0E, 0x11, 0x11, 0x0E),
    "9": (0x0E, 0x11, 0x11, 0x0F, 0x01, 0x02, 0x0C),
}


class Ink(IntEnum):
    """An entry of the palette."""

    GROUND = 0
    WORDS = 1
    GOOD = 2
    BAD = 3


class Box(NamedTuple):
    """A rectangle of pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


_PALETTE = bytes.fromhex("f4f3ee 1f2824 1c6349 a33a2b")


def bars(values: Sequence[int], labels: Sequence[int], ink: Ink) -> bytes:
    """The plot of these values as a file."""
    canvas = [bytearray(WIDTH) for _ in range(HEIGHT)]
    floor = HEIGHT - _FOOT
    tallest = max(*values, 1) if values else 1
    slot = (WIDTH - 2 * _EDGE) // max(len(values), 1)
    for position, (value, label) in enumerate(zip(values, labels, strict=True)):
        left = _EDGE + position * slot
        height = round((floor - _HEAD) * value / tallest)
        top = floor - max(height, 2 if value else 0)
        _fill(canvas, Box(left + slot // 6, top, left + slot - slot // 6, floor), ink)
        _write(canvas, str(value), left + slot // 2, top - 36, slot)
        _write(canvas, str(label), left + slot // 2, floor + 14, slot)
    _fill(canvas, Box(_EDGE, floor, WIDTH - _EDGE, floor + 2), Ink.WORDS)
    return _png(canvas)


def _fill(canvas: list[bytearray], box: Box, ink: Ink) -> None:
    row = bytes([ink]) * (box.right - box.left)
    for y in range(box.top, box.bottom):
        canvas[y][box.left : box.right] = row


def _write(canvas: list[bytearray], digits: str, middle: int, top: int, room: int) -> None:
    """Digits around a middle, as large as there is room, up to four pixels a dot."""
    dot = max(1, min(4, room // (len(digits) * (_GLYPH_WIDTH + 1))))
    x = middle - (len(digits) * (_GLYPH_WIDTH + 1) - 1) * dot // 2
    for digit in digits:
        for row, bits in enumerate(_GLYPHS[digit]):
            for column in range(_GLYPH_WIDTH):
                if bits >> (_GLYPH_WIDTH - 1 - column) & 1:
                    at, down = x + column * dot, top + row * dot
                    _fill(canvas, Box(at, down, at + dot, down + dot), Ink.WORDS)
        x += (_GLYPH_WIDTH + 1) * dot


def _png(canvas: list[bytearray]) -> bytes:
    """§11.2: header, palette, rows without a filter, end; eight bits of palette a pixel."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + row for row in canvas)
    chunks = ((b"IHDR", header), (b"PLTE", _PALETTE), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
