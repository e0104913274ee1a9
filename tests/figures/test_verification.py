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

RTT = 0.3  # of which a loaded machine may add nearly one, to all of them together
TRIES = 3  # neighbours make one of them longer, a round trip too many makes all of them


@pytest.mark.parametrize(("encryption", "trips"), [("starttls", 9), ("ssl", 7)])
def test_a_healthy_server_is_known_within_twelve_round_trips(tmp_path, encryption, trips):
    network = loopback_network(str(the_authority().write(tmp_path)))
    with (
        SinkServer(encryption=encryption, login="app", password=PASSWORD).in_thread() as sink,
        Child("delay", sink.port, RTT) as proxy,
    ):
        for _ in range(TRIES):
            took = seconds(draft_to(proxy, encryption, password=PASSWORD), network)
            if int(took / RTT) == trips:
                break
    assert int(took / RTT) == trips


def seconds(draft, network):
    """How long it takes to find that everything is well."""
    started = time.monotonic()
    *_, found = verify(draft, NOW, network=network, recipient=Mailbox.parse("me@example.org"))
    assert found.ok
    return time.monotonic() - started
