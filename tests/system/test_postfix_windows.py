"""Windows before a real Postfix, over TLS with AUTH: what it refuses in the middle of one, and what arrives beside.

Postfix is as strict as it can be about commands that come early (`smtpd_forbid_unauth_pipelining`), and hides
PIPELINING or CHUNKING on request. It refuses at DATA, by a header behind the end of data, and by size.
"""

import hashlib
import os
import re

import pytest

from scripted.sink import SinkServer
from system.postfix import Postfix
from system.product import Product, until

pytestmark = pytest.mark.needs("postfix", "saslpasswd2")

SENDER = "office@example.org"
MESSAGES = 48
LIMIT = 1_000_000  # octets
REFUSED = {11: "at-data", 17: "by-header", 23: "by-size", 24: "at-data", 31: "later", 40: "by-header"}
REPLIES = {"at-data": 554, "by-header": 550, "by-size": 552, "later": 450}

SETTINGS = """\
smtpd_discard_ehlo_keywords = size, {hidden}
smtpd_forbid_unauth_pipelining = yes
smtpd_data_restrictions = reject_unauth_pipelining, check_recipient_access
 inline:{{ {{ at-data@example.com = REJECT not this one }} {{ later@example.com = DEFER not today }} }}
header_checks = regexp:{{ {{ /^X-Refuse: yes/ REJECT not with this header }} }}
message_size_limit = {limit}
smtpd_timeout = 3s
"""


def recipient(number):
    return f"{REFUSED.get(number, f'reader{number}')}@example.com"


def content(number):
    """Dots, octets beyond ASCII, and now and then several chunks of it."""
    size = {5: 300_000, 19: 600_000, 23: LIMIT + 300_000}.get(number, 100 * number)
    head = f"From: {SENDER}\r\nTo: {recipient(number)}\r\nSubject: Number {number}\r\nMIME-Version: 1.0\r\n"
    head += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    head += "X-Refuse: yes\r\n" if REFUSED.get(number) == "by-header" else ""
    body = (
        f"Zoë {number}\r\n.\r\n..\r\nQUIT\r\nRSET\r\n"
        + ".ligne à ligne, и дальше\r\n" * (size // 30)
        + ".\r\n"
    )
    return f"{head}Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@example.org>\r\n\r\n{body}".encode()


@pytest.fixture
def mailboxes():
    """Where Postfix passes on what it took."""
    with SinkServer().in_thread() as sink:
        yield sink


@pytest.fixture
def postfix(mailboxes, request):
    if os.geteuid() != 0 and os.environ.get("VAGUEMESTRE_TEST_REQUIRE") != "all":
        pytest.skip("Postfix runs as root only")
    with Postfix(
        mailboxes.port, sender=SENDER, settings=SETTINGS.format(hidden=request.param, limit=LIMIT)
    ) as server:
        yield server


@pytest.fixture(scope="module")
def product():
    with Product(VAGUEMESTRE_RETRY_DELAYS="600") as made:
        yield made


def post(product, name):
    """Ids by number."""
    ids = {}
    for number in range(MESSAGES):
        answer = product.api.ask(
            "POST",
            f"/api/v1/messages/raw?from={SENDER}&to={recipient(number)}&connection={name}",
            content(number),
            Content_Type="message/rfc822",
        )
        ids[number] = answer.expect(202)["id"]
    return ids


@pytest.mark.parametrize(
    ("postfix", "ended_by"),
    [("", "bdat"), ("chunking", "data"), ("pipelining", "data"), ("pipelining, chunking", "data")],
    indirect=["postfix"],
)
def test_what_is_refused_within_a_window_leaves_the_rest_to_arrive_once_and_unchanged(
    product, mailboxes, postfix, ended_by
):
    name = f"Postfix-{postfix.port}"
    product.api.connect(
        postfix,
        name=name,
        sender_email=SENDER,
        encryption="starttls",
        login=postfix.login,
        password=postfix.password,
        limits={"max_sessions": 1},
        active=False,
    )
    ids = post(product, name)
    product.run("connection", "activate", name)
    try:
        for number, uid in ids.items():
            check(product.until_state(uid, *states(number), within=60), number)
        arrived(mailboxes)
        counted = commands(postfix)
        assert {"data", "bdat"} & counted.keys() == {ended_by}, counted
        assert counted["mail"] == MESSAGES, counted
    finally:
        product.run("connection", "deactivate", name)


def states(number):
    if number not in REFUSED:
        return ("accepted",)
    return ("queued",) if REFUSED[number] == "later" else ("refused",)


def check(message, number):
    """Its reply is the server's; a deferred one was tried."""
    (delivery,) = message["deliveries"]
    assert delivery["last_reply"]["code"] == REPLIES.get(REFUSED.get(number), 250), message


def arrived(mailboxes):
    """Each of the others once, as it was handed over behind two trace fields."""
    wanted = {recipient(number): content(number) for number in range(MESSAGES) if number not in REFUSED}
    until(lambda: len(mailboxes.accepted) >= len(wanted), 30, what="what Postfix passes on")
    assert sorted(one.recipients for one in mailboxes.accepted) == sorted((address,) for address in wanted)
    for one in mailboxes.accepted:
        expected = wanted[one.recipients[0]]
        assert digest(one.content[-len(expected) :]) == digest(expected), one.recipients
        assert re.fullmatch(rb"(Received: (?:.+\r\n)(?:[ \t].+\r\n)*){2}", one.content[: -len(expected)])


def digest(octets):
    return hashlib.sha256(octets).hexdigest()


def commands(postfix):
    """How many of each it heard, by its own count, on the sessions that are over."""
    until(lambda: "disconnect from" in lines_of_mail(postfix), 30, what="the end of the session")
    found = re.findall(r"([a-z]+)=(?:\d+/)?(\d+)", lines_of_mail(postfix))
    counted = {}
    for verb, count in found:
        counted[verb] = counted.get(verb, 0) + int(count)
    return counted


def lines_of_mail(postfix):
    return "\n".join(
        line for line in postfix.log().splitlines() if "disconnect from" in line and "mail=" in line
    )
