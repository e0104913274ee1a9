"""« Intégrations automatiques »: every function uses the active configuration; the default overrides all of it."""

import pytest

from system.letters import Arrived
from system.product import until

STREAMS = ("notifications", "form-replies", "invoices", "reports")
ASKED = {"from": "demande@example.net", "reply_to": ["reponses@example.net"]}


def is_default(product):
    return {item["name"]: item["is_default"] for item in product.api.get("/connections")["items"]}


def test_every_function_that_sends_uses_the_active_configuration(product, account, arrives):
    gone = account("Ancienne")
    account("Bureau")
    product.api.patch(f"/connections/{gone['id']}", {"active": False})
    for stream in STREAMS:
        assert arrives(stream=stream)["mail"] == "bureau@example.org"


@pytest.mark.parametrize("by", ["message", "stream"])
def test_without_a_default_their_own_connection_sender_and_reply_address_are_used(
    product, account, arrives, by
):
    account("Bureau")
    own = account("Support")
    if by == "stream":
        product.api.patch("/streams/support", {"connection": own["id"], "reply_to": "aide@example.org"})
        found = arrives(stream="support", **{"from": "demande@example.net"})
        assert (found["from"], found["reply_to"]) == (["support@example.org"], ["aide@example.org"])
    else:
        found = arrives(connection=own["id"], **ASKED)
        assert (found["from"], found["reply_to"]) == (["support@example.org"], ["reponses@example.net"])


def test_the_default_has_the_highest_priority_over_a_messages_own_connection_sender_and_reply_address(
    product, account, arrives
):
    own = account("Support")
    account("Bureau", is_default=True, reply_to="accueil@example.org")
    found = arrives(connection=own["id"], **ASKED)
    assert found["mail"] == "bureau@example.org"
    assert (found["from"], found["reply_to"]) == (["bureau@example.org"], ["accueil@example.org"])


def test_the_default_has_the_highest_priority_over_a_streams_connection_and_reply_address(
    product, account, arrives
):
    own = account("Support")
    account("Bureau", is_default=True)
    product.api.patch("/streams/support", {"connection": own["id"], "reply_to": "aide@example.org"})
    found = arrives(stream="support", **ASKED)
    assert (found["mail"], found["from"], found["reply_to"]) == (
        "bureau@example.org",
        ["bureau@example.org"],
        [],
    )


def test_what_it_overrides_is_shown_before_and_after(product, account, arrives, read):
    own = account("Support")
    product.api.patch("/streams/support", {"connection": own["id"]})
    arrives(stream="support")
    office = account("Bureau")
    preview = product.api.post(f"/connections/{office['id']}/default-preview")
    assert {one["stream"]: one["from_changed"] for one in preview["streams"]}["support"] >= 1
    product.api.patch(f"/connections/{office['id']}", {"is_default": True})
    assert "Sa propre connexion, « Support », est supplantée." in read("/communications/")


def test_saving_another_default_takes_the_role_from_the_first_and_leaves_it_active(product, account):
    first = account("Premier", is_default=True)
    second = account("Second")
    answer = product.api.patch(f"/connections/{second['id']}", {"is_default": True})
    assert answer["demoted"] == [first["id"]]
    assert is_default(product) == {"Premier": False, "Second": True}
    account("Troisième", sender_email="troisieme@example.org", is_default=True)
    assert is_default(product) == {"Premier": False, "Second": False, "Troisième": True}
    assert all(item["active"] for item in product.api.get("/connections")["items"])


def test_only_one_account_is_the_default_at_the_form_too(product, account, person):
    first, second = account("Premier", is_default=True), account("Second")
    person.submit(f"/connections/{second['id']}/default/", {})
    assert is_default(product) == {"Premier": False, "Second": True}
    person.submit(f"/connections/{first['id']}/default/", {})
    assert is_default(product) == {"Premier": True, "Second": False}


def test_an_inactive_default_cannot_be(product, account):
    made = account("Bureau", active=False)
    refused = product.api.patch(f"/connections/{made['id']}", {"is_default": True}, status=422)
    assert refused["errors"][0]["field"] == "is_default"


def answered(product, server, **form):
    """What a visitor gets back who fills in a form of these values."""
    fields = [{"name": "courriel", "label": "Email", "kind": "email", "required": True}]
    made = product.api.post("/forms", {"name": "Contact", "fields": fields} | form, status=201)
    visitor = f"{made['key']}@example.com"
    product.api.ask("POST", f"/f/{made['key']}", {"courriel": visitor}, Accept="application/json").expect(202)
    until(lambda: server.contents(visitor), what="the reply to the visitor")
    letter = Arrived(server.contents(visitor)[0])
    product.api.ask("DELETE", f"/api/v1/forms/{made['key']}").expect(204)
    return [one.email for one in letter.people("From")], [one.email for one in letter.people("Reply-To")]


def test_a_forms_automatic_reply_leaves_from_its_own_connection_unless_a_default_overrides_it(
    product, account, server
):
    own = account("Accueil")
    office = account("Bureau")
    form = {"connection": own["id"], "reply_to": "formulaire@example.org"}
    assert answered(product, server, **form) == (["accueil@example.org"], ["formulaire@example.org"])
    product.api.patch(f"/connections/{office['id']}", {"is_default": True})
    assert answered(product, server, **form) == (["bureau@example.org"], [])
