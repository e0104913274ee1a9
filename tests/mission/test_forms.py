"""« … écrasera toute autre configuration de réponse ou d'expéditeur spécifiée dans des formulaires »."""

from email import message_from_bytes, policy
from urllib.parse import urlencode

import pytest

from system.product import until

FIELDS = [
    {"name": "courriel", "label": "Email", "kind": "email", "required": True},
    {"name": "message", "label": "Message", "kind": "lines", "required": True},
]
WRITTEN = urlencode({"courriel": "lea@example.net", "message": "Bonjour"}).encode()


@pytest.fixture
def form(product, account):
    """A form with a connection and a reply address of its own."""
    own = account("Formulaire")
    values = {
        "name": "Contact", "fields": FIELDS, "notify": ["accueil@example.org"], "connection": own["id"],
        "reply_to": "questions@example.org",
    }  # fmt: skip
    made = product.api.post("/forms", values, status=201)
    yield made
    product.api.ask("DELETE", f"/api/v1/forms/{made['key']}").expect(204)


@pytest.fixture
def fills(product, server, form):
    """A visitor sends it; (reverse-path, From, Reply-To) of the notification and of the reply."""

    def send():
        before = len(server.accepted)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert product.api.ask("POST", f"/f/{form['key']}", WRITTEN, **headers).status == 303
        until(lambda: len(server.accepted) == before + 2, 30)
        found = {one.recipients[0]: one for one in server.accepted[before:]}
        return [_seen(found[address]) for address in ("accueil@example.org", "lea@example.net")]

    return send


def _seen(one):
    letter = message_from_bytes(one.content, policy=policy.default)
    return one.mail, letter["From"], letter["Reply-To"]


def test_without_a_default_a_forms_own_connection_and_reply_address_are_used(account, fills):
    account("Bureau")
    own = "formulaire@example.org"
    assert fills() == [(own, own, "lea@example.net"), (own, own, "questions@example.org")]


def test_before_the_default_is_named_it_is_told_which_forms_it_overrides(product, account, form):
    office = account("Bureau")
    preview = product.api.post(f"/connections/{office['id']}/default-preview")
    assert preview["forms"] == ["Contact"]


def test_the_default_has_the_highest_priority_over_a_forms_connection_and_reply_address(account, fills, read):
    account("Bureau", is_default=True, reply_to="bonjour@example.org")
    office = "bureau@example.org"
    assert fills() == [(office, office, "bonjour@example.org")] * 2
    shown = read("/forms/")
    assert "Sa propre connexion, « Formulaire », est supplantée." in shown
    assert "Sa propre adresse de réponse, questions@example.org, est supplantée." in shown
