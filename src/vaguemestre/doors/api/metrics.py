"""Gauges in Prometheus' text format, read from the database when asked for. No addresses, no names."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from vaguemestre.ledger import messages, sending
from vaguemestre.ledger.models import Connection
from vaguemestre.mail.state import DeliveryState, Health

WAITING = [state for state in DeliveryState if not state.terminal]


class LedgerGauges(Collector):
    """What the ledger holds now."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge, with every state there is: a line that comes and goes cannot be alerted on."""
        yield _depths()
        yield _ages()
        yield _connections()
        yield _paused()


def _depths() -> GaugeMetricFamily:
    gauge = GaugeMetricFamily("vaguemestre_deliveries", "Deliveries that have not ended.", labels=["state"])
    found = messages.depths()
    for state in WAITING:
        gauge.add_metric([state.value], found.get(state.value, 0))
    return gauge


def _ages() -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(
        "vaguemestre_oldest_delivery_seconds",
        "Age of the oldest message with a delivery in that state; 0 for none.",
        labels=["state"],
    )
    now = timezone.now()
    for state in WAITING:
        since = messages.oldest(state)
        gauge.add_metric([state.value], 0.0 if since is None else max(0.0, (now - since).total_seconds()))
    return gauge


def _connections() -> GaugeMetricFamily:
    gauge = GaugeMetricFamily("vaguemestre_connections", "Active connections by health.", labels=["health"])
    active = Connection.objects.filter(active=True).values("health").annotate(count=Count("pk"))
    found = {row["health"]: row["count"] for row in active}
    for health in Health:
        gauge.add_metric([health.value], found.get(health.value, 0))
    return gauge


def _paused() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "vaguemestre_sending_paused",
        "1 while all of sending is paused, else 0.",
        value=int(sending.paused() is not None),
    )


REGISTRY = CollectorRegistry(auto_describe=False)
REGISTRY.register(LedgerGauges())


@require_safe
def metrics(_request: HttpRequest) -> HttpResponse:
    """The gauges."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)
