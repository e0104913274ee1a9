"""Alerts to a real web server: what they say, how often, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest
import structlog

from scripted.client import lookup_here
from scripted.sink import SinkServer
from scripted.web import ACCEPTED, WebServer
from vaguemestre.courier.alert_wording import Alert
from vaguemestre.courier.alerts import Alerts, Destination
from vaguemestre.egress import Guard, parse_networks
from vaguemestre.http_transport import Address, HttpTransport
from vaguemestre.ledger import lookup
from vaguemestre.ledger.lookup import Named
from vaguemestre.mail.secret import Secret
from vaguemestre.policy.alerting import AlertKind
from vaguemestre.signing import SigningKey

pytestmark = pytest.mark.any_database

LOOPBACK = Guard(parse_networks("127.0.0.0/8"), frozenset(range(1, 65536)))
NAMES = {7: Named("0190", "Billing"), 8: Named("0191", "Office")}
UNAVAILABLE = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"
LOCKED = Alert(AlertKind.CONNECTION_LOCKED, 7, why="sign_in_refused", said="535 5.7.8 no")
RECOVERED = Alert(AlertKind.CONNECTION_RECOVERED, 7)


async def named(connection_id):
    return NAMES.get(connection_id)


def alerts_to(server, *, guard=LOOPBACK, language="en", find=named, key=None, **values) -> Alerts:
    address = Address.parse(f"http://alerts.example.org:{server.port}/hook?key=kanarienvogel")
    http = HttpTransport(guard, lookup_here)
    to = Destination(address, http, find, "https://mail.example.org", language, key)
    return Alerts(to, **({"pauses": (0.05, 0.05)} | values))


class Hours:
    """A clock that a test moves; timers of the loop do not know it, so `quiet` stays short."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def logged():
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_an_alert_says_what_is_the_matter_and_what_to_do():
    at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    async with WebServer() as server:
        alerts = alerts_to(server, now=lambda: at)
        alerts.tell(LOCKED)
        (told,) = await server.arrived(1)
        await alerts.close()
    head = server.requests[0][0]
    assert head.startswith("POST /hook?key=kanarienvogel HTTP/1.1\r\n")
    assert "Content-Type: application/json" in head
    assert told == {
        "kind": "connection_locked",
        "connection": {"id": "0190", "name": "Billing"},
        "what": (
            "“Billing” is locked; its messages wait. The server refused the login or the password. The"
            " connection is locked. The server said: 535 5.7.8 no"
        ),
        "remedy": (
            "Open its page, put right what is said there, and verify it: a successful verification unlocks it."
        ),
        "at": "2026-11-24T12:00:00+00:00",
        "url": "https://mail.example.org/connections/0190/",
    }


async def test_every_try_is_signed_for_its_time_under_one_id():
    key = SigningKey.derived(Secret("k" * 48))
    times = iter(datetime(2026, 11, 24, 12, 0, second, tzinfo=UTC) for second in range(9))
    async with WebServer(UNAVAILABLE, ACCEPTED) as server:
        alerts = alerts_to(server, now=lambda: next(times), key=key)
        alerts.tell(LOCKED)
        await server.arrived(2)
        await alerts.close()
    heads = [
        dict(line.split(": ", 1) for line in head.splitlines()[1:] if line) for head, _ in server.requests
    ]
    first, second = heads
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-id"].startswith("alert_")
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 1
    for head, (_, body) in zip(heads, server.requests, strict=True):
        at = datetime.fromtimestamp(int(head["webhook-timestamp"]), UTC)
        assert head["webhook-signature"] == key.headers(head["webhook-id"], at, body)["webhook-signature"]


@pytest.mark.parametrize(
    ("alert", "what", "url"),
    [
        (
            Alert(AlertKind.CONNECTION_THROTTLED, 7, why="limit_reached"),
            "“Billing” has to wait, and its messages with it. The account reached a limit of its server; it goes on later.",
            "/connections/0190/",
        ),
        (RECOVERED, "“Billing” works again.", "/connections/0190/"),
        (
            Alert(AlertKind.BACKUP_IN_USE, 7, backup="Office"),
            "“Office” stands in for “Billing”.",
            "/connections/0190/",
        ),
        (
            Alert(AlertKind.MESSAGE_HELD, None, reason={"code": "no_active_connection", "facts": {}}),
            "A message is held, for there is no connection that carries it. No connection is active. The message leaves once one is.",
            "/messages/?state=held",
        ),
        (
            Alert(AlertKind.IN_DOUBT_WAITS, 7, message="0199"),
            "A message may have arrived or not; whether it is sent again is for a person to say.",
            "/messages/0199/",
        ),
        (
            Alert(
                AlertKind.CERTIFICATE_TROUBLE,
                7,
                facts={"names": "a.example", "issuer": "Some CA", "expired_at": "2026-11-01"},
            ),
            "“Billing” cannot trust its server's encryption; its messages wait. Its certificate is for a.example, by Some CA, until 2026-11-01.",
            "/connections/0190/",
        ),
        (Alert(AlertKind.CONNECTION_RECOVERED, 99), "“” works again.", "/messages/?state=held"),
        (
            Alert(AlertKind.TEMPLATE_UNUSABLE, facts={"template": "report", "language": "fr"}),
            "Your template “report” could not write the weekly report; the one that came with Vaguemestre did.",
            "/templates/report/fr/",
        ),
    ],
)
async def test_each_kind_has_its_words_and_the_page_where_something_can_be_done(alert, what, url):
    async with WebServer() as server:
        alerts = alerts_to(server)
        alerts.tell(alert)
        (told,) = await server.arrived(1)
    assert (told["what"], told["url"]) == (what, f"https://mail.example.org{url}")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", ("«\xa0Billing\xa0» fonctionne de nouveau.", "Rien à faire.")),
        ("it", ("«Billing» funziona di nuovo.", "Nulla da fare.")),
    ],
)
async def test_an_alert_is_in_the_operators_language(language, words):
    async with WebServer() as server:
        alerts_to(server, language=language).tell(RECOVERED)
        (told,) = await server.arrived(1)
    assert (told["what"], told["remedy"]) == words


# How often


async def test_one_of_a_kind_and_connection_goes_out_in_an_hour_and_the_last_word_at_its_end():
    async with WebServer() as server:
        alerts = alerts_to(server, quiet=0.5)
        for number in range(20):
            alerts.tell(Alert(AlertKind.CONNECTION_LOCKED, 7, said=str(number)))
        alerts.tell(Alert(AlertKind.CONNECTION_LOCKED, 8))
        alerts.tell(Alert(AlertKind.BACKUP_IN_USE, 7, backup="Office"))
        await server.arrived(3)
        await asyncio.sleep(0.1)
        kinds = sorted((told["kind"], told["connection"]["name"]) for told in server.bodies)
        assert kinds == [
            ("backup_in_use", "Billing"),
            ("connection_locked", "Billing"),
            ("connection_locked", "Office"),
        ]
        told = await server.arrived(4)
        assert told[3]["what"].endswith("The server said: 19")
        await asyncio.sleep(0.6)
        assert len(server.requests) == 4


async def test_a_trouble_that_is_over_is_not_told_late():
    async with WebServer() as server:
        alerts = alerts_to(server, quiet=0.4)
        for alert in (LOCKED, RECOVERED, LOCKED):
            alerts.tell(alert)
        alerts.tell(RECOVERED)  # the second lock was held back, and is old now
        await asyncio.sleep(1.0)
    assert [told["kind"] for told in server.bodies].count("connection_locked") == 1
    assert server.bodies[-1]["kind"] == "connection_recovered"


async def test_a_recovery_that_did_not_last_is_not_told_late():
    async with WebServer() as server:
        alerts = alerts_to(server, quiet=0.4)
        for alert in (LOCKED, RECOVERED, LOCKED, RECOVERED, LOCKED):
            alerts.tell(alert)
        await asyncio.sleep(1.0)
    kinds = [told["kind"] for told in server.bodies]
    assert (kinds[-1], kinds.count("connection_recovered")) == ("connection_locked", 1)


async def test_what_is_held_back_at_the_end_goes_out_then():
    async with WebServer() as server:
        alerts = alerts_to(server)
        for said in ("first", "second", "last"):
            alerts.tell(Alert(AlertKind.CONNECTION_LOCKED, 7, said=said))
        await server.arrived(1)
        await alerts.close()
    assert [told["what"].rpartition(" ")[2] for told in server.bodies] == ["first", "last"]


async def test_after_its_hour_it_is_told_at_once():
    clock = Hours()
    async with WebServer() as server:
        alerts = alerts_to(server, monotonic=clock)
        alerts.tell(LOCKED)
        await server.arrived(1)
        clock.seconds = 3599
        alerts.tell(LOCKED)
        await asyncio.sleep(0.1)
        assert len(server.requests) == 1
        clock.seconds = 3600
        alerts.tell(LOCKED)
        await server.arrived(2)
        await alerts.close()


# What goes wrong


async def test_what_is_not_taken_is_tried_again_and_then_given_up_in_the_log(logged):
    async with WebServer(UNAVAILABLE) as server:
        alerts = alerts_to(server)
        alerts.tell(LOCKED)
        await server.arrived(3)
        await alerts.close()
    assert [entry["event"] for entry in logged] == ["alert", *["alert_not_taken"] * 3, "alert_given_up"]
    assert logged[1] | {"log_level": ""} == {
        "event": "alert_not_taken",
        "kind": "connection_locked",
        "host": "alerts.example.org",
        "why": "status 503",
        "log_level": "",
    }
    assert "kanarienvogel" not in repr(logged) + repr(alerts)


async def test_a_server_that_comes_back_gets_it(logged):
    redirect = b"HTTP/1.1 302 Go\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"
    async with WebServer(UNAVAILABLE, redirect, ACCEPTED) as server:
        alerts = alerts_to(server)
        alerts.tell(LOCKED)
        await server.arrived(3)
        await alerts.close()
    assert [entry.get("why") for entry in logged] == ["sign_in_refused", "status 503", "status 302"]


async def test_loopback_is_not_dialled_unless_allowed(logged):
    async with WebServer() as server:
        alerts = alerts_to(server, guard=Guard(ports=LOOPBACK.ports), pauses=())
        alerts.tell(LOCKED)
        await alerts.close()
        assert server.requests == []
    assert logged[1]["why"] == "not_permitted"


async def test_who_tells_never_waits_and_the_end_does_not_hang():
    async with WebServer(delay=30) as server:
        alerts = alerts_to(server)
        started = time.monotonic()
        for number in range(100):
            alerts.tell(Alert(AlertKind.CONNECTION_LOCKED, number))
        assert time.monotonic() - started < 0.5
        await server.arrived(4)
        await asyncio.sleep(0.1)
        assert len(server.requests) == 4
        await alerts.close(within=0.1)
        assert time.monotonic() - started < 3


async def test_without_a_url_the_log_tells(logged):
    alerts = Alerts()
    alerts.tell(LOCKED)
    await alerts.close()
    assert logged == [
        {
            "event": "alert",
            "kind": "connection_locked",
            "connection": 7,
            "why": "sign_in_refused",
            "log_level": "warning",
        }
    ]


async def test_a_ledger_that_is_away_costs_the_name_and_not_the_alert():
    from django.db import OperationalError

    async def away(connection_id):
        raise OperationalError("gone")

    async with WebServer() as server:
        alerts_to(server, find=away).tell(LOCKED)
        (told,) = await server.arrived(1)
    assert (told["kind"], told["connection"]) == ("connection_locked", None)


@pytest.mark.django_db(transaction=True)
async def test_the_name_is_the_ledgers(office):
    async with SinkServer() as sink, WebServer() as server:
        connection = await office.connect(sink, name="Facturation")

        async def find(connection_id):
            return await office.ask(lookup.named, connection_id)

        alerts_to(server, find=find).tell(Alert(AlertKind.CONNECTION_RECOVERED, connection.pk))
        (told,) = await server.arrived(1)
    assert told["connection"] == {"id": str(connection.uid), "name": "Facturation"}
