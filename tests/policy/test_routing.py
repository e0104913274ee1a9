"""Routing by L2, L3 and L4, as a table and as properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.policy.routing import (
    Configuration,
    ConnectionFacts,
    Hold,
    Mode,
    Outcome,
    ReasonCode,
    Request,
    Route,
    RuleCode,
    RuleWhy,
    parse_allowed_sender,
    route,
)


def mailbox(address: str) -> Mailbox:
    return Mailbox.parse(address)


def named(address: str, name: str = "") -> NamedMailbox:
    return NamedMailbox(mailbox(address), name)


OFFICE = ConnectionFacts(
    1, "Bureau", mailbox("office@example.org"), "The Office", "desk@example.org", created=1
)
SHOP = ConnectionFacts(
    2,
    "Boutique",
    mailbox("shop@example.com"),
    "The Shop",
    allowed_senders=("sales@example.com", "*@shop.example"),
    created=2,
)
OLD = ConnectionFacts(3, "Ancien", mailbox("old@example.net"), active=False, created=0)
DEFAULT = replace(OFFICE, is_default=True)


def decide(request: Request, *connections: ConnectionFacts, mode: Mode = Mode.OVERRIDE) -> Route | Hold:
    return route(request, Configuration(mode, connections))


def routed(request: Request, *connections: ConnectionFacts, mode: Mode = Mode.OVERRIDE) -> Route:
    decision = decide(request, *connections, mode=mode)
    assert isinstance(decision, Route)
    return decision


def outcomes(decision: Route | Hold) -> dict[RuleCode, tuple[Outcome, RuleWhy]]:
    return {rule.code: (rule.outcome, rule.why) for rule in decision.rules}


FROM_SHOP = named("Shop@EXAMPLE.com", "Ann")
FROM_SALES = named("sales@example.com", "Ann")
FROM_DOMAIN = named("anyone@shop.example", "Ann")
FROM_STRANGER = named("stranger@example.net", "Ann")
FALLBACK = Mode.FALLBACK

TABLE = [
    # the default overrides all
    (Request(FROM_SHOP), (DEFAULT, SHOP), Mode.OVERRIDE, ReasonCode.DEFAULT_OVERRIDE, 1),
    (Request(FROM_SHOP, explicit=2), (DEFAULT, SHOP), Mode.OVERRIDE, ReasonCode.DEFAULT_OVERRIDE, 1),
    (Request(explicit=3), (DEFAULT, OLD), Mode.OVERRIDE, ReasonCode.DEFAULT_OVERRIDE, 1),
    (Request(explicit=99), (DEFAULT,), Mode.OVERRIDE, ReasonCode.DEFAULT_OVERRIDE, 1),
    (
        Request(stream="invoices", stream_connection=2),
        (DEFAULT, SHOP),
        Mode.OVERRIDE,
        ReasonCode.DEFAULT_OVERRIDE,
        1,
    ),
    # without a default, and under fallback, the rules in order
    (Request(FROM_SHOP, explicit=1), (OFFICE, SHOP), Mode.OVERRIDE, ReasonCode.EXPLICIT, 1),
    (
        Request(FROM_SHOP, explicit=1, stream="invoices", stream_connection=2),
        (OFFICE, SHOP),
        Mode.OVERRIDE,
        ReasonCode.EXPLICIT,
        1,
    ),
    (
        Request(FROM_SHOP, stream="invoices", stream_connection=1),
        (OFFICE, SHOP),
        Mode.OVERRIDE,
        ReasonCode.STREAM,
        1,
    ),
    (Request(FROM_SHOP, stream="invoices"), (OFFICE, SHOP), Mode.OVERRIDE, ReasonCode.SENDER, 2),
    (Request(FROM_SALES), (OFFICE, SHOP), Mode.OVERRIDE, ReasonCode.ALLOWED_SENDER, 2),
    (Request(FROM_DOMAIN), (OFFICE, SHOP), Mode.OVERRIDE, ReasonCode.ALLOWED_DOMAIN, 2),
    (Request(FROM_SHOP), (DEFAULT, SHOP), FALLBACK, ReasonCode.SENDER, 2),
    (Request(FROM_SHOP, explicit=1), (DEFAULT, SHOP), FALLBACK, ReasonCode.EXPLICIT, 1),
    (Request(FROM_STRANGER), (DEFAULT, SHOP), FALLBACK, ReasonCode.DEFAULT_FALLBACK, 1),
    (Request(), (DEFAULT, SHOP), FALLBACK, ReasonCode.DEFAULT_FALLBACK, 1),
    (Request(FROM_STRANGER), (OFFICE, OLD), Mode.OVERRIDE, ReasonCode.ONLY_ACTIVE, 1),
    (Request(named("old@example.net")), (OFFICE, OLD), Mode.OVERRIDE, ReasonCode.ONLY_ACTIVE, 1),
    (Request(), (SHOP,), FALLBACK, ReasonCode.ONLY_ACTIVE, 2),
    # held
    (Request(FROM_STRANGER), (OFFICE, SHOP), Mode.OVERRIDE, ReasonCode.AMBIGUOUS, None),
    (Request(), (OFFICE, SHOP), FALLBACK, ReasonCode.AMBIGUOUS, None),
    (Request(FROM_SHOP), (), Mode.OVERRIDE, ReasonCode.NO_ACTIVE_CONNECTION, None),
    (Request(named("old@example.net")), (OLD,), FALLBACK, ReasonCode.NO_ACTIVE_CONNECTION, None),
    (Request(FROM_SHOP, explicit=3), (SHOP, OLD), Mode.OVERRIDE, ReasonCode.EXPLICIT_INACTIVE, None),
    (Request(FROM_SHOP, explicit=3), (DEFAULT, OLD), FALLBACK, ReasonCode.EXPLICIT_INACTIVE, None),
    (Request(FROM_SHOP, explicit=99), (SHOP,), Mode.OVERRIDE, ReasonCode.EXPLICIT_GONE, None),
    (
        Request(FROM_SHOP, stream="reports", stream_connection=3),
        (SHOP, OLD),
        Mode.OVERRIDE,
        ReasonCode.STREAM_INACTIVE,
        None,
    ),
    (
        Request(FROM_SHOP, stream="reports", stream_connection=99),
        (DEFAULT, SHOP),
        FALLBACK,
        ReasonCode.STREAM_GONE,
        None,
    ),
]


@pytest.mark.parametrize(("request_", "connections", "mode", "code", "carrier"), TABLE)
def test_the_first_rule_that_matches_decides(request_, connections, mode, code, carrier):
    decision = decide(request_, *connections, mode=mode)
    assert decision.reason.code is code
    assert (decision.connection_id if isinstance(decision, Route) else None) == carrier


def test_a_default_replaces_from_and_reply_to_by_its_own():
    request = Request(FROM_SHOP, "ann@example.com", explicit=2, stream="x", stream_reply_to="s@example.org")
    decision = routed(request, DEFAULT, SHOP)
    assert decision.sender == named("office@example.org", "The Office")
    assert decision.reply_to == "desk@example.org"
    assert decision.reverse_path == mailbox("office@example.org")


def test_a_default_without_a_reply_to_removes_the_messages():
    assert routed(Request(FROM_SHOP, "ann@example.com"), replace(DEFAULT, reply_to="")).reply_to is None


def test_a_default_gives_its_own_name_even_to_its_own_address():
    request = Request(named("office@example.org", "Ann at home"))
    assert routed(request, DEFAULT).sender == named("office@example.org", "The Office")
    assert routed(request, replace(DEFAULT, sender_name="")).sender == named("office@example.org")


def test_a_default_replaces_even_its_allowed_senders():
    shop = replace(SHOP, is_default=True)
    assert routed(Request(FROM_SALES), shop).sender == named("shop@example.com", "The Shop")


@pytest.mark.parametrize("from_", [FROM_SHOP, FROM_SALES, FROM_DOMAIN])
def test_a_from_that_the_carrier_permits_stays_as_it_is(from_):
    decision = routed(Request(from_, explicit=2), OFFICE, SHOP)
    assert (decision.sender, decision.reply_to) == (None, None)
    assert decision.reverse_path == mailbox("shop@example.com")


def test_another_from_becomes_the_carriers_sender_and_receives_the_replies():
    decision = routed(Request(named("ann@elsewhere.example", "Ann, Sales"), explicit=2), SHOP)
    assert decision.sender == named("shop@example.com", "The Shop")
    assert decision.reply_to == '"Ann, Sales" <ann@elsewhere.example>'


def test_a_carrier_without_a_sender_name_leaves_none():
    assert routed(Request(FROM_STRANGER), replace(SHOP, sender_name="")).sender == named("shop@example.com")


def test_a_message_without_a_from_gets_the_carriers_and_no_reply_to():
    decision = routed(Request(), SHOP)
    assert (decision.sender, decision.reply_to) == (named("shop@example.com", "The Shop"), None)


@pytest.mark.parametrize(
    ("own", "stream", "connection", "expected"),
    [
        ("m@example.org", "s@example.org", "c@example.org", "m@example.org"),
        (None, "s@example.org", "c@example.org", "s@example.org"),
        (" ", "s@example.org", "c@example.org", "s@example.org"),
        (None, "", "c@example.org", "c@example.org"),
        (None, "", "", "Ann <stranger@example.net>"),
    ],
)
def test_reply_to_is_the_messages_else_the_streams_else_the_connections_else_from(
    own, stream, connection, expected
):
    request = Request(FROM_STRANGER, own, stream="notifications", stream_reply_to=stream)
    assert routed(request, replace(SHOP, reply_to=connection)).reply_to == expected


def test_the_default_under_fallback_is_bound_by_the_ordinary_rules():
    decision = routed(
        Request(named("office@example.org", "Ann"), "a@b.example"), DEFAULT, SHOP, mode=FALLBACK
    )
    assert decision.reason.code is ReasonCode.SENDER
    assert (decision.sender, decision.reply_to) == (None, "a@b.example")


@pytest.mark.parametrize("connections", [(DEFAULT,), (OFFICE,)])
def test_a_null_reverse_path_stays_null(connections):
    decision = routed(Request(FROM_STRANGER, null_reverse_path=True), *connections)
    assert decision.reverse_path is None
    assert decision.sender == named("office@example.org", "The Office")


@pytest.mark.parametrize("pattern", ["*@example.org", "ann@example.org"])
def test_the_oldest_of_several_matches_carries(pattern):
    older = replace(SHOP, id=9, allowed_senders=(pattern,), created=5)
    newer = replace(SHOP, id=4, allowed_senders=(pattern,), created=6)
    request = Request(named("ann@example.org"))
    assert routed(request, newer, older).connection_id == 9
    assert routed(request, older, newer).connection_id == 9


def test_an_exact_allowed_sender_goes_before_an_older_wildcard():
    wildcard = replace(OFFICE, allowed_senders=("*@example.com",))
    assert routed(Request(FROM_SALES), wildcard, SHOP).connection_id == 2


def test_an_address_that_looks_like_a_wildcard_is_no_exact_match():
    decision = routed(Request(named("*@shop.example")), OFFICE, SHOP)
    assert decision.reason.code is ReasonCode.ALLOWED_DOMAIN


def test_a_wildcard_of_a_domain_does_not_hold_its_subdomains():
    assert isinstance(decide(Request(named("a@sub.shop.example")), OFFICE, SHOP), Hold)


def test_every_rule_is_listed_with_what_became_of_it():
    request = Request(FROM_SHOP, explicit=2, stream="invoices")
    assert outcomes(decide(request, DEFAULT, SHOP, OLD)) == {
        RuleCode.DEFAULT_OVERRIDE: (Outcome.MATCHED, RuleWhy.MATCHED),
        RuleCode.EXPLICIT: (Outcome.PASSED_OVER, RuleWhy.DECIDED_BEFORE),
        RuleCode.STREAM: (Outcome.NOT_APPLICABLE, RuleWhy.STREAM_HAS_NONE),
        RuleCode.SENDER: (Outcome.PASSED_OVER, RuleWhy.DECIDED_BEFORE),
        RuleCode.ALLOWED_SENDER: (Outcome.PASSED_OVER, RuleWhy.NO_MATCH),
        RuleCode.ALLOWED_DOMAIN: (Outcome.PASSED_OVER, RuleWhy.NO_MATCH),
        RuleCode.DEFAULT_FALLBACK: (Outcome.NOT_APPLICABLE, RuleWhy.MODE_IS_OVERRIDE),
        RuleCode.ONLY_ACTIVE: (Outcome.PASSED_OVER, RuleWhy.SEVERAL_ACTIVE),
        RuleCode.NONE: (Outcome.PASSED_OVER, RuleWhy.DECIDED_BEFORE),
    }


def test_a_rule_tells_of_the_inactive_connection_it_skipped():
    decision = decide(Request(named("old@example.net")), OFFICE, SHOP, OLD)
    rule = next(rule for rule in decision.rules if rule.code is RuleCode.SENDER)
    assert (rule.why, rule.facts["connection_name"]) == (RuleWhy.ONLY_INACTIVE, "Ancien")


def test_a_reason_names_what_was_asked_for():
    decision = decide(Request(explicit=99, explicit_name="Bureau 2"), OFFICE)
    assert decision.reason.as_json() == {"code": "explicit_gone", "facts": {"asked": "Bureau 2"}}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Sales@Example.COM", "sales@example.com"),
        ("*@Example.com", "*@example.com"),
        ("*@café.example", "*@xn--caf-dma.example"),
    ],
)
def test_an_allowed_sender_has_one_canonical_form(text, canonical):
    assert parse_allowed_sender(text) == canonical


@pytest.mark.parametrize(
    "text", ["", "*", "@example.org", "*@", "example.org", "*@a@b.example", "a b@c.example"]
)
def test_what_is_no_allowed_sender_is_refused_at_its_field(text):
    with pytest.raises(Invalid) as refusal:
        parse_allowed_sender(text, "allowed_senders[1]")
    assert (refusal.value.field, refusal.value.code) == ("allowed_senders[1]", "allowed_sender_syntax")


ADDRESSES = st.sampled_from(["a@x.example", "b@x.example", "c@y.example", "d@z.example"])
PATTERNS = st.sampled_from(["a@x.example", "c@y.example", "*@x.example", "*@z.example"])
IDS = st.integers(1, 6)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    ids = draw(st.lists(IDS, unique=True, max_size=5))
    default = draw(st.sampled_from([None, *ids]))
    connections = tuple(
        ConnectionFacts(
            number,
            f"secret name {number}",
            mailbox(draw(ADDRESSES)),
            draw(st.sampled_from(["", "Name"])),
            draw(st.sampled_from(["", "r@x.example"])),
            active=number == default or draw(st.booleans()),
            is_default=number == default,
            allowed_senders=tuple(draw(st.lists(PATTERNS, max_size=2))),
            created=draw(st.integers(0, 3)),
        )
        for number in ids
    )
    return Configuration(draw(st.sampled_from(Mode)), connections)


REQUESTS = st.builds(
    Request,
    from_=st.none() | st.builds(named, ADDRESSES, st.sampled_from(["", "Ann"])),
    reply_to=st.sampled_from([None, "", "m@x.example"]),
    explicit=st.none() | IDS,
    stream=st.sampled_from([None, "invoices"]),
    stream_connection=st.none() | IDS,
    stream_reply_to=st.sampled_from(["", "s@x.example"]),
    null_reverse_path=st.booleans(),
)


@given(REQUESTS, configurations())
def test_every_message_has_one_answer_with_its_reason_and_all_nine_rules(request, configuration):
    decision = route(request, configuration)
    assert [rule.code for rule in decision.rules] == list(RuleCode)
    assert [rule.outcome for rule in decision.rules].count(Outcome.MATCHED) == 1
    assert decision.reason.code in ReasonCode
    assert decision == route(request, Configuration(configuration.mode, configuration.connections))


@given(REQUESTS, configurations())
def test_an_inactive_connection_never_carries(request, configuration):
    decision = route(request, configuration)
    if isinstance(decision, Route):
        carrier = configuration.find(decision.connection_id)
        assert carrier is not None
        assert carrier.active
        assert decision.reverse_path == (None if request.null_reverse_path else carrier.sender)


@given(REQUESTS, configurations())
def test_a_default_that_overrides_carries_every_message(request, configuration):
    default = configuration.default
    decision = route(request, configuration)
    overridden = default is not None and configuration.mode is Mode.OVERRIDE
    assert (decision.reason.code is ReasonCode.DEFAULT_OVERRIDE) == overridden
    if default is not None and overridden:
        assert isinstance(decision, Route)
        assert (decision.connection_id, decision.reply_to) == (default.id, default.reply_to or None)
        assert decision.sender == NamedMailbox(default.sender, default.sender_name)


@given(REQUESTS, configurations(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_the_connections(request, configuration, random):
    shuffled = list(configuration.connections)
    random.shuffle(shuffled)
    assert route(request, Configuration(configuration.mode, tuple(shuffled))) == route(request, configuration)


@given(REQUESTS, configurations())
def test_what_leaves_is_an_address_of_the_carrier_and_never_its_name(request, configuration):
    decision = route(request, configuration)
    if not isinstance(decision, Route):
        return
    carrier = configuration.find(decision.connection_id)
    assert carrier is not None
    leaves = decision.sender or request.from_
    assert leaves is not None
    assert carrier.permits(leaves.mailbox)
    assert carrier.name not in f"{leaves}{decision.reply_to}{decision.reverse_path}"


@given(REQUESTS, configurations())
def test_nothing_is_held_while_exactly_one_connection_is_active_and_none_is_named(request, configuration):
    request = replace(request, explicit=None, stream_connection=None)
    if len(configuration.active) == 1:
        assert isinstance(route(request, configuration), Route)
