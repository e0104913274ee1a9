"""A page that stood open while somebody else saved does not undo their change unseen."""

from django.utils import timezone

from console.kit import connect, errors, filled, text
from forms.kit import contact
from vaguemestre.ledger import connections, instance, report_schedule, source_addresses, streams, templates
from vaguemestre.ledger import forms as web_forms
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.models import Form as WebForm

BRUNO = "user:bruno@exemple.fr"
TOLD = "Rien n’est enregistré : quelqu’un d’autre a enregistré ceci pendant que votre page était ouverte."


def now():
    return timezone.now()


def test_a_stale_page_does_not_take_the_default_away(page):
    office = connect("Bureau")
    address = f"/connections/{office.uid}/"
    form = filled(page.get(address)) | {"sender_name": "Mairie"}
    connections.make_default(str(office.uid), BRUNO, now())

    answer = page.post(address, form)

    assert answer.status_code == 409
    assert TOLD in text(answer)
    assert errors(answer) == {"is_default": "Modifié entre-temps par quelqu’un d’autre."}
    assert (Connection.objects.get().is_default, Connection.objects.get().sender_name) == (True, "")
    again = filled(answer)
    assert (again["is_default"], again["sender_name"]) == ("on", "Mairie")
    assert page.post(address, again).status_code == 302
    assert (Connection.objects.get().is_default, Connection.objects.get().sender_name) == (True, "Mairie")


def test_a_stale_page_activates_nothing_that_somebody_deactivated(page):
    office = connect("Bureau")
    address = f"/connections/{office.uid}/"
    form = filled(page.get(address)) | {"allowed_senders": "lea@exemple.fr"}
    connections.edit(str(office.uid), {"active": False, "host": "smtp2.exemple.fr"}, BRUNO, now())

    answer = page.post(address, form | {"host": "smtp3.exemple.fr"})

    assert errors(answer).keys() == {"active", "host"}
    again = filled(answer)
    assert "active" not in again
    assert (again["host"], again["allowed_senders"]) == ("smtp3.exemple.fr", "lea@exemple.fr")
    assert not Connection.objects.get().active


def test_a_page_that_nobody_overtook_is_saved_whatever_it_changes(page):
    office = connect("Bureau", allowed_senders=["lea@exemple.fr", "*@exemple.org"], limits={"per_day": 100})
    address = f"/connections/{office.uid}/"
    form = filled(page.get(address)) | {"sender_name": "Mairie", "per_day": "50"}
    refused = page.post(address, form | {"port": "nul"})
    assert (refused.status_code, errors(refused).keys()) == (422, {"port"})

    assert page.post(address, filled(refused) | {"port": "587"}).status_code == 302
    assert Connection.objects.get().sender_name == "Mairie"


def test_what_a_refusal_or_a_verification_shows_again_still_stands_on_what_was_seen(page):
    office = connect("Bureau")
    address = f"/connections/{office.uid}/"
    form = filled(page.get(address))
    connections.make_default(str(office.uid), BRUNO, now())

    shown = page.post("/connections/verify/", form | {"port": "nul"})

    assert filled(shown)["seen"] == form["seen"]
    assert page.post(address, filled(shown) | {"port": "587"}).status_code == 409


def test_a_mark_that_is_none_stops_nobody(page):
    office = connect("Bureau")
    address = f"/connections/{office.uid}/"
    for seen in ("", "x", "[1]", "{}", "5"):
        assert page.post(address, filled(page.get(address)) | {"seen": seen}).status_code == 302


def test_each_page_that_saves_is_so(page):
    connect("Bureau")
    streams.create({"key": "devis", "name": "Devis"}, BRUNO, now())
    of_site = contact()
    invoice = {"subject": "Facture", "text": "Bonjour", "html": ""}
    templates.save("invoice", "fr", invoice, BRUNO, now())
    source_addresses.replace([{"address": "192.0.2.1"}], BRUNO, now())
    theirs = {
        "/communications/devis/": lambda: streams.edit("devis", {"retention_days": 7}, BRUNO, now()),
        f"/forms/{of_site.key}/": lambda: web_forms.edit(of_site.key, {"active": False}, BRUNO, now()),
        "/templates/invoice/fr/": lambda: templates.save(
            "invoice", "fr", invoice | {"text": "Bonsoir"}, BRUNO, now()
        ),
        "/settings/": lambda: instance.change_settings({"default_mode": "fallback"}, BRUNO, now()),
        "/settings/weekly-report/": lambda: report_schedule.change(
            report_schedule.settings_of(report_schedule.find()) | {"recipients": ["a@b.fr"]}, BRUNO, now()
        ),
        "/source-addresses/edit/": lambda: source_addresses.replace([{"address": "192.0.2.2"}], BRUNO, now()),
    }
    for address, change in theirs.items():
        form = filled(page.get(address))
        assert page.post(address, form).status_code == 302, address
        form = filled(page.get(address))
        change()
        answer = page.post(address, form)
        assert (address, answer.status_code) == (address, 409)
        assert TOLD in text(answer)
        assert page.post(address, filled(answer)).status_code == 302
    assert streams.find("devis").retention_days == 7
    assert not WebForm.objects.get().active
    assert templates.find("invoice", "fr", "").sources.text == "Bonsoir"
    assert instance.settings()["default_mode"] == "fallback"
    assert [row.address for row in source_addresses.listed()] == ["192.0.2.1", "192.0.2.2"]
