"""SPF: what is a record and what is none, how many lookups a tree costs, and whom it lets pass."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.policy import spf
from vaguemestre.policy.spf import Malformed, Node, Result, State


def node(domain, text, children=None, hosts=None):
    below = children or {}
    found = {place: tuple(map(ip_address, texts)) for place, texts in (hosts or {}).items()}
    return Node(domain, State.RECORD, spf.parse(text), children=below, hosts=found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=spf1", True),
        ("v=spf1 -all", True),
        ("V=SPF1 -all", True),
        ("v=spf10 -all", False),
        ("v=spf1-all", False),
        ("spf1 -all", False),
        ("google-site-verification=abc", False),
    ],
)
def test_what_is_a_record_of_spf_at_all(text, expected):
    assert spf.is_record(text) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        "-al",
        "include",
        "include:",
        "include:/24",
        "ip4:203.0.113.300",
        "ip4:203.0.113.0/33",
        "ip4:2001:db8::1",
        "ip6:203.0.113.1",
        "ip4",
        "a:",
        "a/33",
        "mx//129",
        "all:example.org",
        "exists",
        "redirect=",
        "+-all",
        # as people write them, and RFC 7208 §7.1 does not
        "a:example.org/07",
        "mx//064",
        "a:203.0.113.7",
        "a:mail",
        "include:example.org:587",
        "include:spf.example.org/24",
        "a:example.-org",
        "a:\xa0example.org",
        "ip4:203.0.113.0/255.255.255.0",
        "ip4:203.0.113.0/024",
        "ip6:fe80::1%eth0",
        "redirect=-all",
        "exp=",
        "exists:%(ir).example.org",
        "include:%{a}.example.org",
        "note=50%",
        "mx\tptr",
        "a:" + "x." * 600 + "org",
    ],
)
def test_a_term_that_a_receiver_cannot_read_is_named(wrong):
    with pytest.raises(Malformed) as caught:
        spf.parse(f"v=spf1 a {wrong} ~all")
    assert caught.value.term == wrong[:100]


@pytest.mark.parametrize("right", ["a:_spf.x-1.example", "include:%{ir}.%{v}._spf.%{d2}", "mx:example.org./24//64", "moo=a:b"])  # fmt: skip
def test_a_name_may_have_what_the_standard_lets_it(right):
    assert spf.parse(f"v=spf1 {right} ~all").terms[-1].name == "all"


@pytest.mark.parametrize("twice", ["redirect", "exp"])
def test_a_modifier_is_there_once(twice):
    with pytest.raises(Malformed):
        spf.parse(f"v=spf1 {twice}=a.example -all {twice}=b.example")


def test_what_stands_behind_all_counts_for_nothing():
    record = spf.parse("v=spf1 mx -all include:p.example ip4:203.0.113.1 exp=e.example")
    assert record.unread == "include:p.example ip4:203.0.113.1"
    assert not spf.includes(
        Node("a.example", State.RECORD, record, children={"p.example": PROVIDER}), "p.example"
    )
    assert spf.lookups(Node("a.example", State.RECORD, record)) == 1
    whole = "v=spf1 mx include:p.example -all ip4:203.0.113.1 exp=e.example"
    assert record.with_mechanism("include:p.example") == whole


def test_what_is_included_twice_costs_twice_and_is_judged_once():
    low = node("b.example", "v=spf1 mx mx -all")
    twice = node("a.example", "v=spf1 ?include:b.example include:b.example -all", {"b.example": low})
    assert spf.lookups(twice) == 6
    assert not spf.includes(twice, "b.example")
    for at in range(9):  # a thousand ways through each of nine records
        twice = node(
            f"n{at}.example", f"v=spf1{f' include:{twice.domain}' * 1_000} -all", {twice.domain: twice}
        )
    assert spf.lookups(twice) > 1_000**9
    assert spf.result_for(twice, ip_address("192.0.2.1")) is Result.FAIL


def test_a_term_that_depends_on_the_message_is_named():
    inner = node("b.example", "v=spf1 exists:%{i}.x.example -all")
    assert spf.opaque(node("a.example", "v=spf1 mx include:b.example -all", {"b.example": inner})) == (
        "exists:%{i}.x.example"
    )
    assert not spf.opaque(TREE)


def test_a_record_is_read_term_by_term():
    record = spf.parse(
        "v=spf1 A:Mail.Example.org/28 mx//64 ?ip4:203.0.113.7/24 include:X.example. exp=e.example -all"
    )
    assert [(term.name, term.value, term.result, term.prefixes) for term in record.terms] == [
        ("a", "mail.example.org", Result.PASS, (28, 128)),
        ("mx", "", Result.PASS, (32, 64)),
        ("ip4", "203.0.113.0/24", Result.NEUTRAL, (32, 128)),
        ("include", "x.example", Result.PASS, (32, 128)),
        ("all", "", Result.FAIL, (32, 128)),
    ]
    assert record.all is Result.FAIL


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("v=spf1 mx -all", "v=spf1 mx include:p.example -all"),
        ("v=spf1 redirect=x.example", "v=spf1 include:p.example redirect=x.example"),
        ("v=spf1 mx", "v=spf1 mx include:p.example"),
        ("v=spf1 ?all mx", "v=spf1 include:p.example ?all mx"),
    ],
)
def test_a_mechanism_goes_before_what_speaks_of_everybody_else(text, whole):
    assert spf.parse(text).with_mechanism("include:p.example") == whole


def test_lookups_are_counted_through_includes_and_redirects():
    leaf = node("c.example", "v=spf1 ip4:203.0.113.1 exists:%{i}.x.example -all")
    middle = node("b.example", "v=spf1 include:c.example mx ~all", {"c.example": leaf})
    root = node(
        "a.example",
        "v=spf1 a include:b.example ptr redirect=c.example",
        {"b.example": middle, "c.example": leaf},
    )
    assert (spf.lookups(leaf), spf.lookups(middle), spf.lookups(root)) == (1, 3, 8)


def test_a_redirect_beside_all_is_none():
    assert spf.lookups(node("a.example", "v=spf1 redirect=b.example -all")) == 0


def test_lookups_that_find_nothing_are_counted():
    gone = Node("gone.example", State.NONE)
    root = node(
        "a.example",
        "v=spf1 a:x.example mx include:gone.example -all",
        {"gone.example": gone},
        {("a", "x.example"): (), ("mx", ""): ("203.0.113.1",)},
    )
    assert spf.voids(root) == 2


PROVIDER = node("p.example", "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8:1::/48 -all")
TREE = node(
    "a.example",
    "v=spf1 -ip4:198.51.100.66 include:p.example mx a:w.example/24 ~all",
    {"p.example": PROVIDER},
    {("mx", ""): ("203.0.113.25",), ("a", "w.example"): ("192.0.2.80",)},
)


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ("198.51.100.7", Result.PASS),
        ("198.51.100.66", Result.FAIL),
        ("2001:db8:1::9", Result.PASS),
        ("203.0.113.25", Result.PASS),
        ("203.0.113.26", Result.SOFTFAIL),
        ("192.0.2.3", Result.PASS),
        ("192.0.3.3", Result.SOFTFAIL),
        ("2001:db8:2::9", Result.SOFTFAIL),
    ],
)
def test_whom_a_tree_lets_pass(address, result):
    assert spf.result_for(TREE, ip_address(address)) is result


def test_nothing_that_matches_is_neutral_and_a_redirect_decides():
    assert spf.result_for(node("a.example", "v=spf1 mx"), ip_address("192.0.2.1")) is Result.NEUTRAL
    redirecting = node("a.example", "v=spf1 redirect=p.example", {"p.example": PROVIDER})
    assert spf.result_for(redirecting, ip_address("192.0.2.1")) is Result.FAIL


def test_an_include_counts_wherever_it_is_unless_it_says_no():
    assert spf.includes(TREE, "p.example")
    assert spf.includes(node("z.example", "v=spf1 include:a.example -all", {"a.example": TREE}), "p.example")
    assert not spf.includes(node("a.example", "v=spf1 ?include:p.example -all"), "p.example")
    assert not spf.includes(TREE, "q.example")


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text):
    try:
        record = spf.parse(f"v=spf1 {text}")
    except Malformed:
        return
    assert spf.lookups(Node("a.example", State.RECORD, record)) >= 0
