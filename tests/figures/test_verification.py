"""From the click to the result takes few round trips, with everything that a verification asks."""

import time

import pytest
from bench.child import Child

from scripted.certificates import the_authority
from scripted.client import PASSWORD, loopback_network
from scripted.sink import SinkServer
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.verification.probe import verify
from verification.trial import NOW, draft_to

pytestmark = pytest.mark.django_db

RTT = 0.1
LATE = 0.1  # seconds that a loaded machine may add


@pytest.mark.parametrize(("encryption", "trips"), [("starttls", 10), ("ssl", 8)])
def test_a_healthy_server_is_known_within_twelve_round_trips(tmp_path, encryption, trips):
    network = loopback_network(str(the_authority().write(tmp_path)))
    with (
        SinkServer(encryption=encryption, login="app", password=PASSWORD).in_thread() as sink,
        Child("delay", sink.port, RTT) as proxy,
    ):
        draft = draft_to(proxy, encryption, password=PASSWORD)
        started = time.monotonic()
        *_, found = verify(draft, NOW, network=network, recipient=Mailbox.parse("me@example.org"))
        took = time.monotonic() - started
    assert found.ok
    assert trips - 1 < took / RTT < trips + LATE / RTT
