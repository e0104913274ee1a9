"""Authentication-Results as people paste it, in the forms that receivers write it, and what is none."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.policy.authentication_results import LONGEST, Method, Reading, Result, Verdict, read

GOOGLE = """Delivered-To: me@gmail.com
ARC-Seal: i=1; a=rsa-sha256
Authentication-Results: mx.google.com;
       dkim=pass header.i=@example.org header.s=google header.b=abc;
       spf=pass (google.com: domain of office@example.org designates 203.0.113.7 as permitted sender) smtp.mailfrom=office@example.org;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org
Return-Path: <office@example.org>
"""
MICROSOFT = """Authentication-Results: spf=pass (sender IP is 203.0.113.7)
 smtp.mailfrom=example.org; dkim=none (message not signed)
 header.d=none;dmarc=fail action=quarantine
 header.from=example.org;compauth=fail reason=000
"""
FAILS = "mail.example.net; spf=softfail smtp.mailfrom=office@example.org; dkim=permerror header.d=example.org; dmarc=none"


def told(text):
    reading = read(text)
    return {result.method.value: (result.verdict.value, result.domain) for result in reading.results}


def test_what_gmail_writes():
    assert read(GOOGLE).receiver == "mx.google.com"
    assert told(GOOGLE) == {
        "dkim": ("pass", "example.org"),
        "spf": ("pass", "example.org"),
        "dmarc": ("pass", "example.org"),
    }


def test_what_microsoft_writes_without_saying_who_it_is():
    assert read(MICROSOFT).receiver == ""
    assert told(MICROSOFT) == {
        "spf": ("pass", "example.org"),
        "dkim": ("none", "none"),
        "dmarc": ("fail", "example.org"),
    }


ICLOUD = """X-Mark: x
Authentication-Results: dmarc.icloud.com; dmarc=pass header.from=example.org
Authentication-Results: dkim-verifier.icloud.com;
 dkim=pass (2048-bit key) header.d=example.org header.i=@example.org
Authentication-Results: spf.icloud.com; spf=pass smtp.mailfrom=office@example.org
Received: from x
Authentication-Results: anybody.example; spf=fail; dmarc=fail
"""


def test_a_receiver_that_writes_a_field_for_each_check_and_nobody_further_down():
    assert told(ICLOUD) == {
        "dmarc": ("pass", "example.org"),
        "dkim": ("pass", "example.org"),
        "spf": ("pass", "example.org"),
    }


def test_the_receivers_own_field_counts_before_the_chains():
    text = f"ARC-Authentication-Results: i=1; mx.example; spf=fail\n{GOOGLE}"
    assert told(text)["spf"] == ("pass", "example.org")
    assert read("ARC-Authentication-Results: i=1; mx.example; spf=fail").receiver == "mx.example"


def test_the_value_alone_is_read_too():
    assert told(FAILS) == {
        "spf": ("softfail", "example.org"),
        "dkim": ("permerror", "example.org"),
        "dmarc": ("none", ""),
    }


def test_one_signature_that_passes_is_enough():
    text = "mx; dkim=fail header.d=a.example; dkim=pass header.d=b.example; spf=none"
    assert read(text).best(Method.DKIM) == Result(Method.DKIM, Verdict.PASS, "b.example")
    assert read(text).best(Method.DMARC) is None


def test_a_result_in_a_comment_is_none():
    assert told("mx; (spf=pass (nested) dmarc=pass;) spf=fail smtp.mailfrom=x.example") == {
        "spf": ("fail", "x.example")
    }


@pytest.mark.parametrize(
    "text",
    ["", "hello", "Subject: spf", "Authentication-Results: mx.example; none", "auth=pass", ";;;;", '"'],
)
def test_what_holds_no_result_is_nothing(text):
    assert read(text) is None


def test_a_domain_that_is_none_is_not_repeated():
    assert told("mx; spf=pass smtp.mailfrom=<script>alert(1)</script>") == {"spf": ("pass", "")}


@pytest.mark.parametrize(
    "text", ["(" * 10**6, '"' * 10**6, "spf=pass;" * 10**5, "a" * 10**6, "\\" * 10**6, "=." * 10**6]
)
def test_a_hostile_text_is_read_in_no_time(text):
    started = time.perf_counter()
    read(text)
    assert time.perf_counter() - started < 0.5


@given(st.text(max_size=400))
def test_no_text_breaks_the_reader(text):
    found = read(text)
    assert found is None or (isinstance(found, Reading) and len(found.results) <= 20)
    assert LONGEST == 20_000
