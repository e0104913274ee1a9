"""« À quoi ça sert ? » and « Fonctionnalités principales », sentence by sentence."""

import pytest

from mission.conftest import LOGIN, PASSWORD
from scripted.sink import SinkServer


def typed(server, **values):
    """What a person types into the form of an account."""
    return {
        "name": "Bureau",
        "sender_email": "bureau@example.org",
        "host": "localhost",
        "port": server.port,
        "encryption": "starttls",
        "login": LOGIN,
        "password": PASSWORD,
    } | values


def state(product, uid):
    return product.message(uid)["state"]


def test_one_or_several_external_accounts_are_configured_and_managed(product, account):
    names = ["Bureau", "Marketing", "Support"]
    for name in names:
        account(name)
    assert [item["name"] for item in product.api.get("/connections")["items"]] == names


def test_a_professional_server_sends_with_its_own_login_under_encryption(account, arrives):
    account("Bureau")
    found = arrives()
    assert (found["login"], found["tls"], found["mail"]) == (LOGIN, True, "bureau@example.org")


def test_marketing_leaves_from_one_address_and_support_from_another(product, account, arrives):
    for name in ("Marketing", "Support"):
        made = account(name)
        product.api.patch(f"/streams/{name.lower()}", {"connection": made["id"]})
    for name in ("marketing", "support"):
        found = arrives(stream=name, **{"from": "application@example.net"})
        assert (found["mail"], found["from"]) == (f"{name}@example.org", [f"{name}@example.org"])


def test_a_default_sender_is_used_automatically_for_every_function(account, arrives):
    account("Bureau", is_default=True)
    account("Autre")
    for stream in ("notifications", "form-replies", "invoices", "reports", "marketing", "support", None):
        assert arrives(stream=stream)["from"] == ["bureau@example.org"]


def test_configurations_are_added_edited_and_deleted_in_a_central_list(product, account, person, read):
    made = account("Comptoir")
    assert "Comptoir" in read("/connections/")
    product.api.patch(
        f"/connections/{made['id']}", {"name": "Guichet", "sender_email": "guichet@example.org"}
    )
    words = read("/connections/")
    assert "Guichet guichet@example.org" in words
    assert "Comptoir" not in words
    person.submit(f"/connections/{made['id']}/delete/", {})
    assert "Guichet" not in read("/connections/").partition("est supprimée")[2]
    assert product.api.get("/connections")["items"] == []


def test_host_login_and_password_are_tested_before_anything_is_saved(product, server):
    good = product.api.post("/connections/verify", typed(server))
    assert (good["ok"], good["findings"][0]["code"]) == (True, "ok")
    wrong = product.api.post("/connections/verify", typed(server, password="faux"))
    assert not wrong["ok"]
    elsewhere = product.api.post("/connections/verify", typed(server, port=1))
    assert not elsewhere["ok"]
    assert product.api.get("/connections")["items"] == []
    assert server.accepted == []


def test_each_connection_is_switched_on_and_off_and_only_active_ones_are_used(
    product, account, arrives, server
):
    first, second = account("Premier"), account("Second")
    product.api.patch(f"/connections/{first['id']}", {"active": False})
    assert arrives()["from"] == ["second@example.org"]
    held = product.api.send(connection=first["id"])
    assert (held["state"], held["reason"]["code"]) == ("held", "explicit_inactive")
    product.api.patch(f"/connections/{second['id']}", {"active": False})
    nobody = product.api.send()
    assert (nobody["state"], nobody["reason"]["code"]) == ("held", "no_active_connection")
    taken = len(server.accepted)
    product.api.patch(f"/connections/{first['id']}", {"active": True})
    for uid in (held["id"], nobody["id"]):
        product.until_state(uid, "accepted")
    assert {one.mail for one in server.accepted[taken:]} == {"premier@example.org"}


def test_one_account_is_named_the_default_for_the_whole_system(product, account, read):
    account("Bureau")
    other = account("Autre")
    product.api.patch(f"/connections/{other['id']}", {"is_default": True})
    assert "Tous les emails partent de Autre <autre@example.org>" in read("/connections/").replace(
        " >", ">"
    ).replace("< ", "<")


@pytest.mark.parametrize("encryption", ["ssl", "starttls"])
def test_what_is_verified_is_what_then_runs(product, encryption):
    with SinkServer(
        encryption=encryption, login=LOGIN, password=PASSWORD, require_auth=True
    ).in_thread() as sink:
        values = typed(sink, encryption=encryption)
        assert product.api.post("/connections/verify", values)["ok"]
        product.api.post("/connections", values, status=201)
        product.until_state(product.api.send()["id"], "accepted")
        assert sink.accepted[0].tls
