"""Two people who save the same page in the same moment: one is told, and neither change is undone unseen.

Both have sent what they typed before either may write, since the test holds the lock of the configuration.
"""

import time

import pytest
from django.test import Client

from console.kit import filled
from forms.kit import contact
from ledger.kit import ACTOR, NOW, at_once, connect
from vaguemestre.ledger import instance, report_schedule, source_addresses, streams, templates
from vaguemestre.ledger.models import Connection, Form, User

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(email):
    client = Client(headers={"accept-language": "en"})
    client.force_login(User.objects.create_user(email, "un phare dans la brume", language="en"))
    return client


def in_one_moment(address, *posts):
    """The answers' states, by person."""

    def hold():
        with instance.alone():
            time.sleep(0.3)

    def save(person, form):
        time.sleep(0.05)
        return person.post(address, form).status_code

    posted = [lambda person=person, form=form: save(person, form) for person, form in posts]
    return at_once([hold, *posted])[1:]


def test_of_two_who_save_in_the_same_moment_one_is_told():
    people = signed_in("claire@exemple.fr"), signed_in("bruno@exemple.fr")
    office, of_site = connect("Bureau"), contact()
    streams.create({"key": "devis", "name": "Devis"}, ACTOR, NOW)
    templates.save("invoice", "fr", {"subject": "Facture", "text": "Bonjour", "html": ""}, ACTOR, NOW)
    schedule = report_schedule.settings_of(report_schedule.find())
    report_schedule.change(schedule | {"recipients": ["a@exemple.fr"]}, ACTOR, NOW)
    source_addresses.replace([{"address": "192.0.2.1"}], ACTOR, NOW)
    changes = {
        f"/connections/{office.uid}/": ({"sender_name": "Mairie"}, {"reply_to": "b@exemple.fr"}),
        "/communications/devis/": ({"retention_days": "7"}, {"retention_days": "8"}),
        f"/forms/{of_site.key}/": ({"per_hour": "7"}, {"retention_days": "8"}),
        "/templates/invoice/fr/": ({"text": "Bonsoir"}, {"subject": "Votre facture"}),
        "/settings/": ({"default_mode": "fallback"}, {"default_mode": "fallback", "renew_verifications": ""}),
        "/settings/weekly-report/": ({"hour": "7"}, {"weekday": "2"}),
        "/source-addresses/edit/": ({"label": "Lyon"}, {"label": "Paris"}),
    }
    for address, typed in changes.items():
        posts = [
            (person, filled(person.get(address)) | own) for person, own in zip(people, typed, strict=True)
        ]
        states = in_one_moment(address, *posts)
        assert (address, sorted(states)) == (address, [302, 409])
    assert bool(Connection.objects.get().sender_name) != bool(Connection.objects.get().reply_to)
    assert (Form.objects.get().per_hour == 7) != (Form.objects.get().retention_days == 8)


def test_of_two_who_make_the_same_template_one_is_told():
    people = signed_in("claire@exemple.fr"), signed_in("bruno@exemple.fr")
    form = {"key": "relance", "language": "fr", "subject": "Relance", "text": "Bonjour", "html": ""}
    posts = [(person, form | {"text": f"De {number}"}) for number, person in enumerate(people)]
    assert sorted(in_one_moment("/templates/new/", *posts)) == [302, 422]
