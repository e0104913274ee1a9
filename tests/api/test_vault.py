"""A vault that cannot be opened is a problem in words, and none of ours."""

import pytest

from api.client import connection
from scripted.vault_keys import LOST, use_keys
from vaguemestre.ledger.models import Connection

pytestmark = pytest.mark.django_db

PASSWORD = {"login": "office", "password": "hunter2-hunter2"}


@pytest.mark.parametrize("keys", LOST.values(), ids=LOST)
def test_l12_without_its_key_whatever_needs_a_secret_says_what_to_do(api, monkeypatch, keys):
    office = connection("Office", **PASSWORD)
    path, values = (
        f"/connections/{office.uid}",
        {"id": str(office.uid), "host": office.host, "login": "office"},
    )
    use_keys(monkeypatch, *keys)
    answers = [
        api.post(f"{path}/verify"),
        api.post("/connections/verify", values | {"sender_email": "office@example.org"}),
        api.patch(path, {"password": "another"}),
        api.post(
            "/connections", {**PASSWORD, "name": "Shop", "sender_email": "a@example.org", "host": "b.example"}
        ),
    ]
    assert [answer.status_code for answer in answers] == [503] * 4
    assert {answer.json()["code"] for answer in answers} == {"vault_key_missing"}
    assert all("restore vault.key" in answer.json()["detail"] for answer in answers)
    assert api.get(path).json()["has_password"] is True


def test_a_secret_that_does_not_belong_there_is_to_be_typed_again(api):
    office = connection("Office", **PASSWORD)
    Connection.objects.update(host="elsewhere.example.org")
    problem = api.post(f"/connections/{office.uid}/verify")
    assert (problem.status_code, problem.json()["code"]) == (409, "secret_unreadable")
    assert "type it again" in problem.json()["detail"]
