"""Forms over the API: set up, faults at their fields, what came in, deleted on request."""

import pytest

from api.client import fields_of, key_with
from forms.kit import FIELDS, RIGHT, send
from vaguemestre.ledger import forms

CONTACT = {"name": "Contact", "fields": FIELDS, "notify": ["desk@example.org"]}

pytestmark = pytest.mark.django_db


@pytest.fixture
def form(api, office):
    return api.post("/forms", CONTACT | {"connection": "Office"}).json()


def test_a_form_is_made_changed_listed_and_deleted(api, office, form):
    assert form["address"].endswith(f"/f/{form['key']}")
    assert form["connection"] == str(office.uid)
    changed = api.patch(
        f"/forms/{form['key']}", {"origins": ["https://WWW.example.org:443/"], "connection": None}
    )
    assert changed.json()["origins"] == ["https://www.example.org"]
    assert changed.json()["connection"] is None
    assert [one["key"] for one in api.get("/forms").json()["items"]] == [form["key"]]
    assert api.delete(f"/forms/{form['key']}").status_code == 204
    assert api.get(f"/forms/{form['key']}").status_code == 404


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"fields": []}, "fields"),
        ({"fields": [{"name": "A b", "label": "x"}]}, "fields[0].name"),
        ({"fields": [{"name": "a", "label": "x"}]}, "replies"),
        ({"notify": ["desk@example.org\r\nBcc: x@example.org"]}, "notify"),
        ({"fields": [*FIELDS, {"name": "f", "label": "F", "kind": "file"}], "notify": []}, "notify"),
        ({"reply_to": "nobody"}, "reply_to"),
        ({"connection": "Nowhere"}, "connection"),
        ({"origins": ["https://example.org/path"]}, "origins"),
        ({"thanks_url": "javascript:alert(1)"}, "thanks_url"),
        ({"thanks_url": "https://[example.org/merci"}, "thanks_url"),  # no address: the page fell over it
        ({"thanks_url": "https://a;script-src/merci"}, "thanks_url"),
        ({"thanks_url": "https:///merci"}, "thanks_url"),
        ({"thanks_url": "https://example.org:99999/merci"}, "thanks_url"),
        ({"template": "nothing"}, "template"),
        ({"languages": []}, "languages"),
        ({"per_hour": 0}, "per_hour"),
        ({"key": "mine"}, "key"),
    ],
)
def test_a_fault_is_told_at_its_field_and_nothing_is_saved(api, office, values, field):
    refused = api.post("/forms", CONTACT | values)
    assert (refused.status_code, fields_of(refused)) == (422, [field])
    assert forms.all_forms() == []


def test_what_came_in_is_read_and_deleted_on_request(api, form):
    for number in range(3):
        send(forms.find(form["key"]), RIGHT | {"message": f"n° {number}"})
    page = api.get(f"/forms/{form['key']}/submissions?limit=2").json()
    rest = api.get(f"/forms/{form['key']}/submissions?cursor={page['next']}").json()
    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    one = page["items"][0]
    assert one["values"][2] == {"name": "message", "label": "Message", "value": "n° 2"}
    assert api.get(f"/messages/{one['reply']}").json()["via"] == "form"
    assert api.delete(f"/forms/{form['key']}/submissions/{one['id']}").status_code == 204
    assert api.delete(f"/forms/{form['key']}/submissions/{one['id']}").status_code == 404
    assert api.delete(f"/forms/{form['key']}/submissions/x").status_code == 404


def test_the_html_is_the_forms_own(api, form):
    given = api.get(f"/forms/{form['key']}/markup").json()
    assert f'action="{form["address"]}" method="post"' in given["html"]
    assert "<script" not in given["html"]


def test_another_scope_sees_no_forms(api, form):
    assert key_with("send", "read", "admin").get("/forms").status_code == 403
