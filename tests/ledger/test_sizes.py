"""Sizes in the reader's language."""

import pytest
from django.utils import translation

from vaguemestre.ledger.sizes import size_text


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", ["1 octet", "149 octets", "2 ko", "1,5 Mo", "1 Mo", "25 Mo", "3 Go"]),
        ("it", ["1 byte", "149 byte", "2 kB", "1,5 MB", "1 MB", "25 MB", "3 GB"]),
        ("en", ["1 byte", "149 bytes", "2 kB", "1.5 MB", "1 MB", "25 MB", "3 GB"]),
    ],
)
def test_a_size_is_written_as_the_language_has_it_in_one_piece(language, words):
    with translation.override(language):
        told = [size_text(octets) for octets in (1, 149, 2048, 3 << 19, (1 << 20) - 1, 25 << 20, 3 << 30)]
    assert [" ".join(one.split()) for one in told] == words
    assert not any(" " in one for one in told)
