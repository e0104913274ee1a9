"""The guard against copies (fault D11): before a courier works, it makes sure whose database it works on.

It keeps a mark beside its data (`policy.installation`), raised before anything leaves and every few seconds
while something does. Where mark and database disagree, the installation is paused until a person resumes it;
the console, the API, an alert and the log say so. A server's database that belongs to another installation
is not paused, since that one's couriers rightly work there: this courier does not start.

Fails with `Foreign` then, and with DatabaseError where the database is away. A mark that cannot be written
is logged, and mail goes on.
"""

from __future__ import annotations

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
        paused: whether nothing may leave, as it was when it last looked.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mark: Mark | None = None  # as it was raised last
        self._commits: int | None = None  # of attempts, when it was
        self.paused = False

    async def look(self, now: datetime) -> None:
        """Compare, pause where they disagree, and raise the mark if attempts were recorded since.

        Raises:
            Foreign: nothing may be done here.
        """
        run, path = self._engine.threads.run, self._engine.mark
        if path is not None:
            begun = await run(_pause_a_copy, path, self._mark, now)
            if begun is not None:
                self._tell(begun)
        self._note(await run(sending.paused))
        if self.paused:
            self._commits = None
        elif path is not None and self._commits != (commits := self._engine.recorder.commits):
            self._mark = await run(installation.raise_mark, now)
            self._commits = commits
            await run(_write, path, self._mark)

    def _note(self, pause: Pause | None) -> None:
        """Keep it, and log where it begins, was there at the start, or ended."""
        before, self.paused = self.paused, pause is not None
        if pause is not None and not before:
            log.warning("sending_paused", why=pause.why.value, by=pause.by)
        elif before and pause is None:
            log.info("sending_resumed")

    def _tell(self, begun: Pause) -> None:
        facts = {name: str(value) for name, value in begun.facts.items()}
        self._engine.alerts.tell(Alert(AlertKind.SENDING_PAUSED, why=begun.why.value, facts=facts))


def _pause_a_copy(path: Path, raised: Mark | None, now: datetime) -> Pause | None:
    """Pause what may be a copy; the answer is the pause that begins, None where nothing is new."""
    mark = raised or _read(path)
    if _discord(mark) is None:
        return None
    with instance.alone():
        # Asked again: a person may have confirmed it meanwhile.
        kept = installation.kept()
        why = _discord(mark)
        if why is PauseWhy.FOREIGN and on_postgresql():
            raise Foreign(path)
        return None if why is None else sending.pause(ACTOR, now, why, _facts(why, kept, mark))


def _discord(mark: Mark | None) -> PauseWhy | None:
    return discord(installation.kept(), installation.place(), mark, embedded=not on_postgresql())


def _facts(why: PauseWhy, kept: Kept, mark: Mark | None) -> dict[str, int]:
    if why is not PauseWhy.OLDER or mark is None:
        return {}
    return {"reached": mark.high_water, "left_off": kept.high_water}


def _read(path: Path) -> Mark | None:
    """The mark; None where there is none that can be read."""
    try:
        found = json.loads(path.read_text())
        return Mark(str(found["identity"]), int(found["high_water"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(path: Path, mark: Mark) -> None:
    try:
        durable.write(path, json.dumps(asdict(mark)))
    except OSError as error:
        log.error("mark_not_kept", error=str(error))  # noqa: TRY400  the reason is the whole story
