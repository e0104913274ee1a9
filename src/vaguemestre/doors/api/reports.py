"""Reports over HTTP: a file that a program made, attached byte for byte; and when the weekly one goes out."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor, submitter
from vaguemestre.doors.api.body import posted, posted_message
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.reading import Reading, mailbox, mailboxes, mapping, octets, text
from vaguemestre.ledger import report_schedule, reports
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.gathering import take
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.reports import Report
from vaguemestre.ledger.resources import accepted_summary
from vaguemestre.mail.errors import Invalid

router = Router(tags=["Reports"])
ADMIN = ("admin",)
FIELDS = frozenset(
    "to file filename subject text data template language stream connection from reply_to on_doubt".split()  # noqa: SIM905
)


@endpoint(
    router.post,
    "/reports",
    "sendReport",
    scopes=("send",),
    takes="NewReport",
    gives="AcceptedMessage",
    status=202,
)
def send_report(request: HttpRequest) -> Answer:
    """Send a file as it is, with a few words; it leaves through the stream `reports`."""
    report = _report(posted_message(request))
    submission = reports.submission_of(report, submitter(request), Via.API)
    return Answer(accepted_summary(take(submission, timezone.now())), 202)


@endpoint(router.get, "/reports/schedule", "getReportSchedule", scopes=ADMIN, gives="ReportSchedule")
def get_schedule(_request: HttpRequest) -> Answer:
    """When the weekly report goes out, and to whom."""
    return Answer(report_schedule.resource(report_schedule.find(), timezone.now()))


@endpoint(
    router.patch,
    "/reports/schedule",
    "changeReportSchedule",
    scopes=ADMIN,
    takes="ReportScheduleChanges",
    gives="ReportSchedule",
)
def change_schedule(request: HttpRequest) -> Answer:
    """Change the named fields; another time counts from now on."""
    now = timezone.now()
    return Answer(report_schedule.resource(report_schedule.edit(posted(request), actor(request), now), now))


def _report(values: dict[str, Any]) -> Report:
    reading = Reading(values)
    unknown = [name for name in values if name not in FIELDS]
    reading.faults += [Invalid(name, "unknown_field", f"A report has no field {name}.") for name in unknown]
    reading.faults += [
        Invalid(name, "missing", "This is needed.")
        for name in ("to", "file", "filename")
        if values.get(name) is None or values[name] in ("", [])
    ]
    report = Report(
        to=reading.read("to", mailboxes, ()),
        file=reading.read("file", octets, b""),
        filename=reading.read("filename", text, ""),
        subject=reading.read("subject", text, ""),
        text=reading.read("text", text, ""),
        data=reading.read("data", mapping, {}),
        template=reading.read("template", text, "") or "report",
        language=reading.read("language", text, ""),
        stream=reading.read("stream", text, "") or "reports",
        connection=reading.read("connection", text, ""),
        from_=reading.read("from", mailbox, None),
        reply_to=reading.read("reply_to", mailboxes, ()),
        on_doubt=reading.read("on_doubt", text, ""),
    )
    if reading.faults:
        raise Refusal(*reading.faults)
    return report
