"""The weekly report: who gets it and when, and one's own copy now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from vaguemestre.console import kept, overtaking
from vaguemestre.console.overtaking import Overtaken
from vaguemestre.console.pages import actor
from vaguemestre.ledger import report_schedule, weekly
from vaguemestre.ledger.models import ReportSchedule
from vaguemestre.ledger.own_address import address_of
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.ledger.wording import describe
from vaguemestre.mail.errors import Invalid


class ScheduleForm(forms.Form):
    """The schedule as typed; the ledger is the one that validates."""

    active = forms.BooleanField(
        label=gettext_lazy("Send it every week"),
        help_text=gettext_lazy("It leaves through the communication for reports, like any other message."),
        required=False,
    )
    recipients = forms.CharField(
        label=gettext_lazy("Recipients"),
        help_text=gettext_lazy("One address on each line."),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4, "inputmode": "email", "spellcheck": "false"}),
    )
    weekday = forms.CharField(label=gettext_lazy("Day"), required=False, widget=forms.Select())
    hour = forms.CharField(
        label=gettext_lazy("Hour"),
        help_text=gettext_lazy("If nothing runs at that hour, it is sent later on the same day."),
        required=False,
        widget=forms.Select(choices=[(str(hour), f"{hour:02}:00") for hour in range(24)]),
    )
    zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        help_text=gettext_lazy("Such as Europe/Paris; summer time is taken into account."),
        required=False,
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off", "spellcheck": "false"}),
    )
    language = forms.CharField(label=gettext_lazy("Language"), required=False, widget=forms.Select())

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        days = [(str(number), capfirst(str(WEEKDAYS[number]))) for number in range(7)]
        self.fields["weekday"].widget = forms.Select(choices=days)
        languages = [("", _("that of the installation")), *settings.LANGUAGES]
        self.fields["language"].widget = forms.Select(choices=languages)

    @classmethod
    def of(cls, row: ReportSchedule) -> ScheduleForm:
        """The form filled with what is set."""
        return cls(initial=report_schedule.settings_of(row) | {"recipients": "\n".join(row.recipients)})

    def typed(self) -> dict[str, object]:
        """The values as they were typed."""
        values: dict[str, object] = {name: self.data.get(name, "") for name in report_schedule.FIELDS}
        lines = str(values["recipients"]).splitlines()
        recipients = [line.strip() for line in lines if line.strip()]
        return values | {"active": self.data.get("active") == "on", "recipients": recipients}

    def refuse(self, faults: Iterable[Invalid]) -> None:
        """Put each fault at its field, in the reader's language."""
        self.is_valid()
        for fault in faults:
            self.add_error(fault.field if fault.field in self.fields else None, describe(fault))


@kept.typed()
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """The schedule."""
    if request.method != "POST":
        return _page(request, ScheduleForm.of(report_schedule.find()))
    form = ScheduleForm(request.POST)
    try:
        with overtaking.saving(request, lambda: ScheduleForm.of(report_schedule.find()).initial):
            report_schedule.change(form.typed(), actor(request), timezone.now())
    except Overtaken as overtaken:
        form = ScheduleForm(overtaking.merged(request.POST, overtaken))
        overtaking.tell(form, overtaken)
        return _page(request, form, 409, overtaken)
    except Refusal as refusal:
        form.refuse(refusal.errors)
        return _page(request, form, status=422)
    messages.success(request, _("The weekly report is saved."))
    return redirect("settings:weekly_report")


@require_POST
def send_now(request: HttpRequest) -> HttpResponse:
    """The report of the last seven days, to whoever asks."""
    own = address_of(request.user)
    if own is None:
        messages.error(request, _("Nobody can write to the address of your account."))
        return redirect("settings:weekly_report")
    try:
        sent = weekly.send_now(own, get_language() or "", timezone.now())
    except Refusal as refusal:
        messages.error(request, " ".join(describe(fault) for fault in refusal.errors))
        return redirect("settings:weekly_report")
    return redirect("messages:detail", sent.uid)


def _page(
    request: HttpRequest, form: ScheduleForm, status: int = 200, overtaken: Overtaken | None = None
) -> HttpResponse:
    saved = report_schedule.find()
    context = {
        "form": form,
        "saved": saved,
        "seen": overtaking.marked(request, ScheduleForm.of(saved).initial, overtaken),
        "next_at": report_schedule.resource(saved, timezone.now())["next_at"],
        "zones": report_schedule.zones(),
    }
    return render(request, "console/settings/weekly_report.html", context, status=status)
