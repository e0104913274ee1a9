"""What the tests of forms share: a form, a visitor's browser, and what the ledger then holds."""

import json
from datetime import timedelta
from email import message_from_bytes, policy

from django.test import Client
from django.utils import timezone

from vaguemestre.doors.forms import tokens
from vaguemestre.ledger import connections, forms
from vaguemestre.ledger.models import Chunk, Delivery, FormSubmission

ACTOR = "cli:test"
FIELDS = [
    {"name": "nom", "label": "Nom", "kind": "name", "required": True},
    {"name": "courriel", "label": "Email", "kind": "email", "required": True},
    {"name": "message", "label": "Message", "kind": "lines", "required": True, "longest": 2000},
]
RIGHT = {"nom": "Léa Marchand", "courriel": "lea@exemple.org", "message": "Bonjour,\nun devis ?"}
PAGE, JSON = "text/html", "application/json"


def connect(name="Bureau", **values):
    given = {"name": name, "sender_email": f"{name.lower()}@exemple.fr", "host": "smtp.exemple.fr"}
    return connections.create(given | values, ACTOR, timezone.now()).connection


def contact(**values):
    """A form with a name, an address and a message, which tells the office."""
    given = {"name": "Contact", "fields": FIELDS, "notify": ["bureau@exemple.fr"], "per_address": 300}
    return forms.create(given | values, ACTOR, timezone.now())


def send(form, values=None, *, accept=PAGE, client=None, **headers):
    """What a browser does with a pasted form."""
    values = RIGHT if values is None else values
    return (client or Client()).post(f"/f/{form.key}", values, headers={"accept": accept, **headers})


def send_json(form, values, **headers):
    return Client().post(
        f"/f/{form.key}", json.dumps(values), content_type=JSON, headers={"accept": JSON, **headers}
    )


def token(form, ago=10):
    return tokens.make(form.key, timezone.now() - timedelta(seconds=ago))


def went_out():
    """(recipient, message) of everything that was accepted, in order."""
    found = []
    for delivery in Delivery.objects.order_by("pk").select_related("message"):
        chunks = Chunk.objects.filter(message=delivery.message).order_by("position")
        raw = b"".join(bytes(chunk.data) for chunk in chunks)
        found.append((delivery.recipient, message_from_bytes(raw, policy=policy.default)))
    return found


def kept():
    return list(FormSubmission.objects.order_by("pk"))
