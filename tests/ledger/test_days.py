"""Days and moments in the reader's language."""

from datetime import UTC, date, datetime

import pytest
from django.utils import translation

from vaguemestre.ledger.days import day_text, moment_text


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("language", "day", "moment"),
    [
        ("fr", "1 mai 2030", "01/05/2030 06:46"),
        ("it", "1 maggio 2030", "01/05/2030 06:46"),
        ("en", "May 1, 2030", "2030-05-01 06:46"),
    ],
)
def test_days_are_in_each_language_and_no_reader_takes_the_month_for_the_day(language, day, moment):
    with translation.override(language):
        assert day_text(date(2030, 5, 1)) == day
        assert moment_text(datetime(2030, 5, 1, 6, 46, tzinfo=UTC)) == moment
