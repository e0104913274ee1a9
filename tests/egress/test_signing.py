"""Signatures as Standard Webhooks has them: its published example, and what is no key."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from vaguemestre.mail.secret import Secret
from vaguemestre.signing import SigningKey

EXAMPLE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_example_is_signed_as_published():
    at = datetime.fromtimestamp(1614265330, UTC)
    assert SigningKey.parse(EXAMPLE).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_key_is_read_as_it_is_written_and_stands_in_no_repr():
    key = SigningKey.derived(Secret("k" * 48))
    assert SigningKey.parse(key.written) == key
    assert repr(key) == "SigningKey()"
    assert SigningKey.derived(Secret("l" * 48)) != key


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE.removeprefix("whsec_"),
        "whsec_",
        "whsec_%%%",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ValueError, match="not"):
        SigningKey.parse(text)
