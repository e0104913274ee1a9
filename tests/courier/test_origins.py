"""Where servers see a courier come from: kept on each delivery, cheaply, and told when it is not on the list."""

from __future__ import annotations

import pytest

from scripted.client import lookup_here
from scripted.sink import Answer, SinkServer
from scripted.web import WebServer
from vaguemestre.courier.alerts import Alerts, Destination
from vaguemestre.egress import Guard, parse_networks
from vaguemestre.http_transport import Address, HttpTransport
from vaguemestre.ledger import lookup, sightings, source_addresses
from vaguemestre.ledger.models import Sighting

pytestmark = [pytest.mark.any_database, pytest.mark.django_db(transaction=True)]


def greets(told):
    """A server that tells on each EHLO what `told` answers for its session, with PIPELINING or without."""
    return {"ehlo": lambda moment: Answer(f"250-sink.example.org Hello [{told(moment.session)}]\r\n250 HELP")}


async def carried(office, count):
    for _ in range(count):
        message = await office.post()
        await office.until(message, "accepted")


def kept():
    return [(row.address, row.first_seen_at, row.last_seen_at) for row in Sighting.objects.order_by("pk")]


async def test_the_address_that_a_server_greets_is_kept_and_told_once_if_it_is_not_on_the_list(office):
    async with SinkServer(hooks=greets(lambda _: "203.0.113.7")) as sink, WebServer() as web:
        connection = await office.connect(sink, name="Billing")
        await office.ask(source_addresses.replace, [{"address": "203.0.113.1"}], "test", office.clock())
        async with office.courier(alerts=alerts_to(office, web)):
            await carried(office, 3)
            (told,) = await web.arrived(1)
        assert len(web.requests) == 1
    assert [address for address, _, _ in await office.ask(kept)] == ["203.0.113.7"]
    assert (told["kind"], told["connection"]["name"]) == ("source_address_unlisted", "Billing")
    assert told["what"] == (
        "A server saw “Billing” come from 203.0.113.7, which is not on the published list."
    )
    assert told["url"] == "https://mail.example.org/source-addresses/"
    assert [seen.connection_id for seen in await office.ask(sightings.unlisted, office.clock())] == [
        connection.pk
    ]


def alerts_to(office, web):
    address = Address.parse(f"http://alerts.example.org:{web.port}/")
    http = HttpTransport(Guard(parse_networks("127.0.0.0/8"), frozenset({web.port})), lookup_here)

    async def named(connection_id):
        return await office.ask(lookup.named, connection_id)

    return Alerts(Destination(address, http, named, "https://mail.example.org"))


async def test_it_is_written_once_a_day_and_not_with_every_session(office):
    async with SinkServer(hooks=greets(lambda _: "203.0.113.7")) as sink:
        await office.connect(sink)
        async with office.courier() as worker:
            noted = counting(worker.engine)
            for _ in range(3):
                await carried(office, 1)
                hang_up(worker)
            assert (sink.sessions, noted) == (3, ["203.0.113.7"])
            office.clock.advance(days=1, minutes=1)
            await carried(office, 1)
            assert (sink.sessions, noted) == (4, ["203.0.113.7", "203.0.113.7"])
    ((_, first, last),) = await office.ask(kept)
    assert (last - first).days == 1


def hang_up(worker):
    """The next message needs another session."""
    for session in worker.engine.pool.empty():
        session.abort()


def counting(engine):
    """What is asked of the ledger by the way."""
    noted, later = [], engine.later

    def count(function, *args, **kwargs):
        if function is sightings.note:
            noted.append(args[1])
        later(function, *args, **kwargs)

    engine.later = count
    return noted


async def test_a_server_that_turns_us_away_tells_where_it_saw_us_too(office):
    async with SinkServer(hooks=greets(lambda _: "203.0.113.9")) as sink:
        await office.connect(sink, encryption="starttls")  # which it does not offer
        async with office.courier():
            await office.post()
            await office.until_true(Sighting.objects.exists)
    assert [address for address, _, _ in await office.ask(kept)] == ["203.0.113.9"]


@pytest.mark.parametrize("told", ["<script>alert(1)</script>", "999.1.1.1", "0.0.0.0", "a" * 900])
async def test_what_is_no_address_of_ours_is_not_kept(office, told):
    async with SinkServer(hooks=greets(lambda _: told)) as sink:
        await office.connect(sink)
        async with office.courier():
            await carried(office, 1)
    assert await office.ask(kept) == []
