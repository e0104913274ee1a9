"""A secret's form may be told; nothing of the secret is."""

from __future__ import annotations

import pytest

from vaguemestre.mail.secret import Secret, Shape


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("correct horse battery staple", Shape.ORDINARY),
        ("hunter2 ", Shape.BLANK_EDGE),
        ("\u00a0hunter2", Shape.BLANK_EDGE),
        ("hunter2\n", Shape.BLANK_EDGE),
        ("abcd efgh ijkl mnop", Shape.GROUPED),
        ("abcd\u00a0efgh\u00a0ijkl\u00a0mnop", Shape.GROUPED),
        ("abcd efgh ijkl mnop ", Shape.BLANK_EDGE),
        ("abcdefghijklmnop", Shape.ORDINARY),
        ("abcd efgh ijkl 1234", Shape.ORDINARY),
        ("", Shape.ORDINARY),
    ],
)
def test_the_form_of_a_secret_is_told_without_it(text, shape):
    secret = Secret(text)
    assert secret.shape is shape
    assert repr(secret) == str(secret) == "<Secret>"
