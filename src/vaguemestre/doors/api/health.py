"""Whether this process lives, and whether the installation is ready: without a key, and cheap."""

from __future__ import annotations

import structlog
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from vaguemestre.ledger import leases, sending, storing

log = structlog.get_logger("vaguemestre.health")

_told: list[str] = []  # what was missing when this process was asked last
_migrated = False  # migrations do not come undone under a running process: asked until the answer is yes


@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Database, migrations, storage and courier are there; 503 names what is missing.

    Where sending is paused it is ready all the same, since everything is accepted; the body says so. Where
    nothing can be stored it says why, as of the latest try (see `storing`).
    """
    paused: bool | None = None
    problem: storing.Problem | None = None
    try:
        migrated = _migrations_applied()
        alive = migrated and leases.courier_alive(timezone.now())
        if migrated:
            paused = sending.paused() is not None
            problem = storing.recent_problem()
    except DatabaseError as error:
        problem = storing.problem_of(error)
        found = {"database": False, "migrations": False, "storage": False, "courier": False}
    else:
        stored = problem is None
        found = {"database": True, "migrations": migrated, "storage": stored, "courier": alive}
    missing = [name for name, there in found.items() if not there]
    _tell(missing)
    body = {"status": "missing" if missing else "ready", "missing": missing, **found}
    response = JsonResponse(
        body | {"storage_problem": problem, "sending_paused": paused}, status=503 if missing else 200
    )
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001  by `_tell`
    return response


def _tell(missing: list[str]) -> None:
    """In the log, when it changes: who watches asks every few seconds."""
    global _told  # noqa: PLW0603  one fact of this process
    if missing != _told:
        _told = missing
        if missing:
            log.warning("not_ready", missing=missing)
        else:
            log.info("ready_again")


def _migrations_applied() -> bool:
    global _migrated  # noqa: PLW0603  one fact of this process
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
