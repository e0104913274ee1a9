"""Rapport hebdomadaire: its schedule, and one's own copy now."""

import email
from email import policy

import pytest
from django.utils import timezone

from console.kit import connect, errors, tags, text
from vaguemestre.ledger import report_schedule
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Message, ReportSchedule

pytestmark = pytest.mark.django_db
URL = "/settings/weekly-report/"
TYPED = {
    "active": "on", "recipients": "claire@exemple.fr\r\n\r\n léa@exemple.fr \r\n", "weekday": "4", "hour": "17",
    "zone": "America/Montreal", "language": "",
}  # fmt: skip


def mail_of(message):
    return email.message_from_bytes(content_of(message).raw, policy=policy.default)


def test_it_is_off_until_somebody_chooses_who_gets_it_and_when(page):
    shown = page.get(URL)
    assert "Il n’est pas envoyé de lui-même." in text(shown)
    assert ("option", {"value": "Europe/Paris"}) in tags(shown)
    assert ("option", {"value": "0", "selected": None}) in tags(shown)  # Monday
    typed = TYPED | {"recipients": "claire@exemple.fr\r\n\r\n lea@exemple.fr \r\n"}
    saved = page.post(URL, typed, follow=True)
    assert "Le rapport hebdomadaire est enregistré." in text(saved)
    assert "Prochain :" in text(saved)
    row = ReportSchedule.objects.get()
    assert (row.active, row.weekday, row.hour, row.zone) == (True, 4, 17, "America/Montreal")
    assert row.recipients == ["claire@exemple.fr", "lea@exemple.fr"]
    again = page.get(URL)
    assert "claire@exemple.fr\nlea@exemple.fr" in again.content.decode()
    assert ("option", {"value": "4", "selected": None}) in tags(again)
    page.post(URL, {name: value for name, value in typed.items() if name != "active"})
    assert not report_schedule.find().active


def test_what_cannot_be_is_told_at_its_field_and_nothing_is_saved(page):
    refused = page.post(URL, TYPED | {"recipients": "", "zone": "Europe/Paris"})
    assert (refused.status_code, errors(refused)) == (
        422,
        {"recipients": "Dites qui doit recevoir le rapport."},
    )
    refused = page.post(URL, TYPED | {"recipients": "claire", "zone": "Paris", "hour": "99"})
    assert set(errors(refused)) == {"recipients", "zone", "hour"}
    assert "Paris" in errors(refused)["zone"]
    assert 'value="Paris"' in refused.content.decode()
    assert ReportSchedule.objects.count() == 0


def test_send_it_to_me_now_goes_to_ones_own_address_in_ones_language(page):
    connect()
    answer = page.post(f"{URL}now/")
    message = Message.objects.get()
    assert answer.url == f"/messages/{message.uid}/"
    mail = mail_of(message)
    assert mail["To"] == "claire@exemple.fr"
    assert mail["Subject"].startswith("Rapport hebdomadaire des emails, ")
    words = mail.get_body(("plain",)).get_content()
    assert "Messages remis\u00a0: 0" in words
    assert "Rien n’attend de décision." in words
    assert page.get(f"{URL}now/").status_code == 405
    assert report_schedule.due(timezone.now()) is None


def test_it_is_found_from_the_settings_and_by_nobody_who_is_not_signed_in(page, stranger):
    assert URL in page.get("/settings/").content.decode()
    assert stranger.get(URL).status_code == 302
    assert stranger.post(f"{URL}now/").status_code == 302
    assert Message.objects.count() == 0
