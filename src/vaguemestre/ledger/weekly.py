"""The weekly report of the product itself: made of figures, sent through the stream `reports`.

Each report goes out once, however many couriers look and whenever they start: the day that it is for is
marked in the transaction that accepts it. It is a message like any other, and given up when the next one is
due. Its plots are pictures within the mail, their figures in its text too; all of them are attached as CSV.
Where a template of one's own cannot write it, the one that came with the product does, and that is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q
from django.utils.translation import override

from vaguemestre.ledger import figures, report_schedule, weekly_wording
from vaguemestre.ledger.accept import accept
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.figures import Day, Week
from vaguemestre.ledger.letters import Letter, write, write_anyway
from vaguemestre.ledger.models import Message, ReportSchedule, Stream
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.report_schedule import Due
from vaguemestre.ledger.submission import Submission, Via
from vaguemestre.mail.compose import Attachment, Post, compose
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.spreadsheet import sheet
from vaguemestre.policy.reporting import DAYS, days_before
from vaguemestre.templating.plot import bars

STREAM, TEMPLATE = "reports", "report"
EXPIRES = timedelta(days=DAYS)
PRODUCT = "Vaguemestre"


@dataclass(frozen=True)
class Sent:
    """A report that was handed over.

    Attributes:
        template: that was to write it.
        refusal: of a template of one's own, which did not; None where all is well.
    """

    message: Message
    template: str
    refusal: Refusal | None


def send_due(due: Due, days: Sequence[Day], now: datetime) -> Sent | None:
    """Hand a report over; None where another courier did."""
    post, letter = _asked(due.recipients, due.language, figures.week(days))
    post, refusal = write_anyway(post, letter)  # before the write lock is taken
    made = _submission(post, now)
    with writing():
        unsent = Q(sent_for=None) | Q(sent_for__lt=due.day)
        if not ReportSchedule.objects.filter(unsent, pk=1, active=True).update(sent_for=due.day):
            return None
        message = accept(made, now)
        ReportSchedule.objects.filter(pk=1).update(message=message)
    return Sent(message, letter.template, refusal)


def send_now(recipient: Mailbox, language: str, now: datetime) -> Message:
    """The report of the seven days before today to one person; the schedule stays as it is.

    Raises:
        Refusal: a template of one's own asks for what is not in the data.
    """
    zone = ZoneInfo(report_schedule.find().zone)
    days = [figures.of_day(day, zone) for day in days_before(now.astimezone(zone).date())]
    asked = _asked((recipient.wire,), language or settings.LANGUAGE_CODE, figures.week(days))
    return accept(_submission(write(*asked), now), now)


def _submission(post: Post, now: datetime) -> Submission:
    envelope, content = compose(post)
    return Submission(envelope, content, Via.REPORT, stream=STREAM, expires_at=now + EXPIRES)


def _asked(recipients: Sequence[str], language: str, week: Week) -> tuple[Post, Letter]:
    with override(language):
        pictures = weekly_wording.plots(week)
        names = dict(Stream.objects.values_list("key", "name"))
        data = weekly_wording.data(week, pictures, names)
    dates = [day.day for day in week.days]
    plots = (
        Attachment("", bars(one.values, [date.day for date in dates], one.ink), "image/png", one.content_id)
        for one in pictures
    )
    post = Post(
        to=tuple(NamedMailbox(Mailbox.parse(address)) for address in recipients),
        attachments=(*plots, Attachment(_name(dates[0]), _table(week), "text/csv; charset=utf-8")),
    )
    given = {**data, "url": f"{settings.ENVIRONMENT.base_url}/messages/", "organisation": PRODUCT}
    return post, Letter(TEMPLATE, given, language, STREAM)


def _name(first: date) -> str:
    return f"vaguemestre-{first.isoformat()}.csv"


def _table(week: Week) -> bytes:
    """The figures as they were counted, for programs: the same words in every language."""
    head = ("day", "stream", "connection", "state", "deliveries")
    lines = (
        (line.day.isoformat(), line.stream, line.connection, line.state.value, line.deliveries)
        for line in week.lines
    )
    return sheet([head, *lines])
