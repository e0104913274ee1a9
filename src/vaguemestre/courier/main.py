"""The `courier` process: an engine made from the environment, and a worker that runs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvloop

from vaguemestre.courier.alerts import Alerts, Destination
from vaguemestre.courier.digest import Dated, Digest
from vaguemestre.courier.engine import Engine, system_now
from vaguemestre.courier.outcomes import Outcomes
from vaguemestre.courier.worker import serve
from vaguemestre.dialling import http_from, network_from
from vaguemestre.environment import Environment
from vaguemestre.ledger import lookup
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.policy.schedule import RetrySchedule
from vaguemestre.token_source import TokenSource

log = structlog.get_logger("courier")

MARK_FILE = "installation"
_THREADS = 4  # on PostgreSQL; SQLite has one writer


def run(environment: Environment) -> None:
    """Work until SIGTERM."""
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        uvloop.run(_run(environment))


async def _run(environment: Environment) -> None:
    threads = ledger_threads(on_sqlite=environment.on_sqlite)
    engine = Engine(
        network_from(environment),
        threads,
        schedule=schedule(environment),
        together=environment.on_sqlite,
        alerts=_alerts(environment, threads),
        tokens=TokenSource(http_from(environment), threads, system_now),
        outcomes=_outcomes(environment),
        mark=_folder(environment) / MARK_FILE,
    )
    try:
        await serve(engine)
    finally:
        threads.shutdown()
        if engine.outcomes is not None:
            engine.outcomes.close()


def ledger_threads(*, on_sqlite: bool) -> LedgerThreads:
    """As a courier has them."""
    return LedgerThreads(1 if on_sqlite else _THREADS, here=on_sqlite)


def _folder(environment: Environment) -> Path:
    """Where what stays is: beside an embedded database, which may be the only thing that does."""
    return environment.database_file.parent if environment.on_sqlite else environment.data_dir


def _alerts(environment: Environment, threads: LedgerThreads) -> Alerts:
    async def mail(told: Sequence[Dated]) -> bool:
        return await threads.run(_mail, told, environment.base_url)

    return Alerts(_destination(environment, threads), Digest(mail))


def _mail(told: Sequence[Dated], base_url: str) -> bool:
    # Templates take a fifth of a second to load, which a courier's start should not wait for.
    from vaguemestre.courier.operator_mail import hand_over  # noqa: PLC0415

    return hand_over(told, base_url)


def _destination(environment: Environment, threads: LedgerThreads) -> Destination | None:
    url = environment.alert_url
    if url is None:
        return None

    async def named(connection_id: int) -> lookup.Named | None:
        return await threads.run(lookup.named, connection_id)

    http = http_from(environment)
    return Destination(url, http, named, environment.base_url, environment.language, environment.alert_key)


def _outcomes(environment: Environment) -> Outcomes | None:
    """Where results go while the database is away; without a disk they wait in memory."""
    try:
        return Outcomes(environment.data_dir / "outcomes")
    except OSError as error:
        log.error("outcomes_not_kept", error=str(error))  # noqa: TRY400  the reason is the whole story
        return None


def schedule(environment: Environment) -> RetrySchedule:
    """The ordinary schedule, or the operator's delays; the last of them repeats."""
    delays = environment.retry_delays
    if not delays:
        return RetrySchedule()
    return RetrySchedule(delays, then=delays[-1])
