"""What the courier tells its operator of an attempt: lines of the log."""

from __future__ import annotations

import structlog

from vaguemestre.ledger.claims import Report

log = structlog.get_logger("courier")


def tell(connection_id: int, done: Report) -> None:
    """One line for each delivery, and one where the connection's health changed."""
    if done.health is not None:
        log.info(
            "connection_health", connection=connection_id, state=done.health.state.value, why=done.health.why
        )
    for settled in done.settlements:
        log.info(
            "attempt_finished",
            delivery=settled.delivery,
            connection=connection_id,
            outcome=settled.state.value,
            why=None if settled.trouble is None else settled.trouble["why"],
        )
