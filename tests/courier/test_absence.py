"""What the log tells of a database that is away."""

from django.db import OperationalError
from structlog.testing import capture_logs

from vaguemestre.courier.absence import Absence


def test_an_absence_is_told_at_once_each_minute_and_when_it_is_over():
    now = 100.0
    absence = Absence("me", lambda: now)
    with capture_logs() as lines:
        for second in range(130):
            now = 100.0 + second
            absence.met(OperationalError("the lock file cannot be opened\nfurther"))
        absence.over()
        absence.over()
        absence.met(OperationalError("again"))
    assert lines.pop(4) == {"event": "courier_ready", "holder": "me", "log_level": "info"}
    told = [(line["event"], line.get("error"), line["seconds"]) for line in lines]
    away = ("database_away", "the lock file cannot be opened")
    assert told == [
        (*away, 0),
        (*away, 60),
        (*away, 120),
        ("database_back", None, 129),
        ("database_away", "again", 0),
    ]
