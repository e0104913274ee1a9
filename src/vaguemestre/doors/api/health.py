"""Whether this process lives, and whether the installation is ready: without a key, and cheap."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from vaguemestre.ledger import leases, sending, storing

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
    body = {"status": "missing" if missing else "ready", "missing": missing, **found}
    return JsonResponse(
        body | {"storage_problem": problem, "sending_paused": paused}, status=503 if missing else 200
    )


def _migrations_applied() -> bool:
    global _migrated  # noqa: PLW0603  one fact of this process
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
