"""The guard against copies (fault D11): before a courier works, it makes sure whose database it works on.

It keeps a mark beside its data (`policy.installation`), raised before anything leaves and every few seconds
while something does. Where mark and database disagree, the installation is paused until a person resumes it;
the console, the API, an alert and the log say so. A server's database that belongs to another installation
is not paused, since that one's couriers rightly work there: this courier does not start.

Fails with `Foreign` then, and with DatabaseError where the database is away. A mark that cannot be read or
written is logged, and mail goes on.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import structlog

from vaguemestre import durable
from vaguemestre.courier.alert_wording import Alert
from vaguemestre.courier.engine import Engine
from vaguemestre.ledger import installation, instance, sending
from vaguemestre.ledger.database import on_postgresql
from vaguemestre.policy.alerting import AlertKind
from vaguemestre.policy.installation import Kept, Mark, Pause, PauseWhy, discord

ACTOR = "courier"

log = structlog.get_logger("courier")


class Foreign(Exception):
    """The data directory is another installation's, and the database a server's."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The mark {path} is that of another installation than the one in this database. Correct"
            " DATABASE_URL; or, if couriers of this directory are to work on this database from now on,"
            " delete the mark and start again."
        )


class Guard:
    """See the module. Used by the worker alone.

    Attributes:
        trusted: whether this is no copy, as far as is known; False until it has looked.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mark: Mark | None = None  # as it was raised last
        self._commits: int | None = None  # of attempts, when it was
        self._pause: Pause | None = None
        self._trouble = ""  # with the mark's file, as it was logged last
        self.trusted = False

    async def look(self, now: datetime) -> None:
        """Compare, pause where they disagree, and raise the mark if attempts were recorded since.

        Raises:
            Foreign: nothing may be done here.
        """
        commits = self._engine.recorder.commits  # as of `now`: what comes meanwhile is the next look's
        pause = await self._engine.threads.run(_pause_of, self._engine.mark, self._mark, now)
        self._note(pause)
        if not self.trusted:
            self._commits = None
        elif self._engine.mark is not None and self._commits != commits:
            await self._raise(self._engine.mark, now)
            self._commits = commits

    async def _raise(self, path: Path, now: datetime) -> None:
        self._mark = await self._engine.threads.run(installation.raise_mark, now)
        trouble = await asyncio.to_thread(_write, path, self._mark)
        if trouble and trouble != self._trouble:
            log.error("mark_not_kept", error=trouble)
        self._trouble = trouble
        if self._commits is None and not trouble:
            await self._engine.threads.run(installation.confirm)

    def _note(self, pause: Pause | None) -> None:
        """Keep it; log where it begins, was there at the start, or ended; and tell of what may be a copy."""
        before, self._pause, self.trusted = self._pause, pause, pause is None or not pause.copy
        if pause is None:
            if before is not None:
                log.info("sending_resumed")
        elif before is None or before.why is not pause.why:
            log.warning("sending_paused", why=pause.why.value, by=pause.by)
            if pause.copy:
                facts = {name: str(value) for name, value in pause.facts.items()}
                self._engine.alerts.tell(Alert(AlertKind.SENDING_PAUSED, why=pause.why.value, facts=facts))


def _pause_of(path: Path | None, raised: Mark | None, now: datetime) -> Pause | None:
    """The pause that there is, or that has to be."""
    pause = sending.paused()
    if path is None or (pause is not None and pause.copy):
        return pause
    kept = installation.kept()
    mark = raised or _read(path, kept)
    if _discord(kept, mark) is None:
        return pause
    return _pause_a_copy(path, mark, now)


def _pause_a_copy(path: Path, mark: Mark | None, now: datetime) -> Pause | None:
    """Asked once more, since a person may have confirmed it meanwhile."""
    with instance.alone():
        kept = installation.kept()
        why = _discord(kept, mark)
        if why is PauseWhy.FOREIGN and on_postgresql():
            raise Foreign(path)
        if why is not None:
            sending.pause(ACTOR, now, why, _facts(why, kept, mark))
        return sending.paused()


def _discord(kept: Kept, mark: Mark | None) -> PauseWhy | None:
    return discord(kept, installation.place(), mark, embedded=not on_postgresql())


def _facts(why: PauseWhy, kept: Kept, mark: Mark | None) -> dict[str, int]:
    if why is not PauseWhy.OLDER or mark is None:
        return {}
    return {"reached": mark.high_water, "left_off": kept.high_water}


def _read(path: Path, kept: Kept) -> Mark | None:
    """The mark; None where there is none. One that may not be read says nothing against the database."""
    try:
        found = json.loads(path.read_text())
        return Mark(str(found["identity"]), int(found["high_water"]))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    except OSError as error:
        log.error("mark_unreadable", error=str(error))  # noqa: TRY400  the reason is the whole story
        return Mark(kept.identity, kept.high_water)


def _write(path: Path, mark: Mark) -> str:
    """Why it could not be kept; "" where it is."""
    try:
        durable.write(path, json.dumps(asdict(mark)))
    except OSError as error:
        return error.strerror or str(error)  # the draft has another name each time
    return ""
