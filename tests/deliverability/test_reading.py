"""What a receiver wrote about a test message, told to whoever pasted it."""

import pytest
from django.utils import translation

from vaguemestre.deliverability.reading import lines
from vaguemestre.policy.authentication_results import read


@pytest.mark.parametrize("order", [("provider.example", "example.org"), ("example.org", "provider.example")])
def test_of_two_signatures_that_hold_the_senders_counts_wherever_it_stands(order):
    signatures = "; ".join(f"dkim=pass header.d={domain}" for domain in order)
    reading = read(f"Authentication-Results: mx.example.net; {signatures}; spf=pass smtp.helo=a.example")
    assert reading is not None
    with translation.override("en"):
        dkim = next(line for line in lines(reading, "example.org") if line.method == "DKIM")
    assert (dkim.text, dkim.severity) == (
        "The message carries a signature of example.org, and it holds.",
        "info",
    )
