"""What the courier tells its operator of attempts: lines of the log, and alerts where a person is needed."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from vaguemestre.courier.alert_wording import Alert
from vaguemestre.courier.alerts import Alerts
from vaguemestre.ledger.claims import Report
from vaguemestre.policy.alerting import alert_of
from vaguemestre.policy.health import HealthState

log = structlog.get_logger("courier")


def tell(connection_id: int, reports: Iterable[Report]) -> None:
    """One line for each delivery."""
    info = log.info  # structlog looks for it at each asking
    for done in reports:
        for settled in done.settlements:
            info(
                "attempt_finished",
                delivery=settled.delivery,
                connection=connection_id,
                outcome=settled.state._value_,  # `value` is worked out at each asking
                why=None if settled.trouble is None else settled.trouble["why"],
            )


def tell_health(
    alerts: Alerts, connection_id: int, before: HealthState, after: HealthState, done: Report | None = None
) -> None:
    """A line where the connection's health changed, and an alert where that is worth one.

    Args:
        alerts: where they go.
        connection_id: whose health.
        before: what it was.
        after: what it is.
        done: the attempt that told; its trouble has the certificate's facts.
    """
    if (before.state, before.why, before.until) == (after.state, after.why, after.until):
        return
    log.info("connection_health", connection=connection_id, state=after.state.value, why=after.why)
    kind = alert_of(before, after)
    if kind is not None:
        troubles = (
            [] if done is None else [one.trouble for one in done.settlements if one.trouble is not None]
        )
        facts = troubles[0]["facts"] if troubles else {}
        alerts.tell(Alert(kind, connection_id, why=after.why, said=after.text, facts=facts))
