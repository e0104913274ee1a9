"""What the log tells of a fault: enough to act on, and no value that may be somebody's."""

from __future__ import annotations

import traceback

import structlog

log = structlog.get_logger("vaguemestre.submission")


def of_tls(error: BaseException) -> str | None:
    """Why a handshake failed: OpenSSL's reason, such as `TLSV1_ALERT_UNKNOWN_CA`, or the system's."""
    return getattr(error, "reason", None) or getattr(error, "strerror", None)


def of_database(error: BaseException | None) -> str | None:
    """What the database calls it: SQLite's name, such as `SQLITE_FULL`, or PostgreSQL's `53100`."""
    while error is not None:
        name: str | None = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
        if name:
            return name
        error = error.__cause__
    return None


def tell(event: str, error: BaseException) -> None:
    """Log that the ledger failed us."""
    # The place instead of the traceback: a database's words may quote the values of the statement.
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{place.filename}:{place.lineno}"
    log.error(event, error=type(error).__name__, database=of_database(error), place=where)
