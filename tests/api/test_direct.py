"""The API's requests pass by what is for pages only, and their answers are guarded as pages are."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory

from api.client import Api, key_with
from vaguemestre.doors.api import intake
from vaguemestre.doors.api.intake import Intake
from vaguemestre.wsgi import application

pytestmark = pytest.mark.django_db

GUARDS = [
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
]


def test_every_answer_of_the_api_has_the_security_headers_of_a_page(api):
    page = Client().get("/accounts/login/")
    answers = [
        api.get("/streams"),
        api.get("/openapi.json"),
        api.get("/nothing"),
        api.post("/messages", raw=b"{"),
        api.get("/streams", Host="evil.example"),
        Api().get("/streams"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 400, 400, 401]
    for answer in answers:
        assert {name: answer[name] for name in GUARDS} == {name: page[name] for name in GUARDS}
        assert "Accept-Language" in answer["Vary"]
        assert answer["Content-Length"] == str(len(answer.content))


def test_a_signed_in_person_s_cookie_opens_nothing_and_none_is_set(settings):
    browser = Client()
    browser.force_login(get_user_model().objects.create(email="a@example.org"))
    assert settings.SESSION_COOKIE_NAME in browser.cookies
    for method, path in [("GET", "/api/v1/streams"), ("POST", "/api/v1/messages")]:
        answer = browser.generic(method, path, b"{}", content_type="application/json")
        assert answer.status_code == 401
        assert not answer.cookies


def test_the_texts_are_english_whatever_the_browser_prefers_and_whoever_asked_before(api):
    Client().get("/accounts/login/", headers={"Accept-Language": "fr"})
    answer = api.post("/messages", {"to": "a@example.net", "text": "x"}, Accept_Language="fr")
    assert answer["Content-Language"] == "en"
    assert answer.json()["reason"]["text"] == "No connection is active. The message leaves once one is."
    refused = api.post("/messages", {"to": "nobody", "text": "x"}, Accept_Language="fr")
    assert "is not an email address" in refused.json()["detail"]


def test_an_address_that_no_pattern_takes_is_a_404_problem(api):
    assert api.get("/a\nb").status_code == 404
    assert api.get("//").status_code == 404


def served(path="/api/v1/messages", body=b"{}", **headers):
    """What the WSGI application that is served answers to a POST: status, headers and body."""
    told = {}
    kind = headers.pop("Content_Type", "application/json")
    asked = RequestFactory().generic("POST", path, body, "application/json", headers=headers)
    environ = asked.environ | {"CONTENT_TYPE": kind}
    pieces = application(environ, lambda status, fields: told.update(status=status, fields=fields))
    return int(told["status"].split()[0]), dict(told["fields"]), b"".join(pieces)


def test_what_is_handed_over_takes_the_short_way_to_the_same_answer(api):
    key = {"Authorization": f"Bearer {api.key}"}
    message = b'{"to": "a@example.net", "text": "x"}'
    for body, headers in [
        (message, key),
        (b"{", key),
        (message, {}),
        (message, key | {"Host": "evil.example"}),
    ]:
        status, fields, content = served(body=body, **headers)
        usual = Client(headers=headers).post("/api/v1/messages", body, "application/json")
        assert (status, fields.keys()) == (usual.status_code, usual.headers.keys())
        told, expected = json.loads(content), usual.json()
        assert (told.pop("id", None) is None) == (expected.pop("id", None) is None)
        assert told == expected
        assert {**fields, "Content-Length": ""} == {**usual.headers, "Content-Length": ""}
        assert fields["Content-Length"] == str(len(content))


def test_the_short_way_believes_the_proxy_whose_request_it_is(monkeypatch):
    """A key for this machine alone is not good for all that its proxy brings."""
    monkeypatch.setattr(intake, "close_old_connections", lambda: None)  # the test's transaction goes on
    here = {"Authorization": f"Bearer {key_with('send', networks=['127.0.0.0/8']).key}"}
    there = {"Authorization": f"Bearer {key_with('send', networks=['203.0.113.0/24']).key}"}
    far = {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}
    answers = [served(**here)[0], served(**here, **far)[0], served(**there, **far)[0], served(**there)[0]]
    assert answers == [422, 403, 422, 403]


def test_a_content_type_of_which_django_makes_no_request_is_none(monkeypatch, api):
    monkeypatch.setattr(intake, "close_old_connections", lambda: None)  # the test's transaction goes on
    kind = "application/json" + ";" * 20_000
    status, fields, _ = served(Authorization=f"Bearer {api.key}", Content_Type=kind)
    assert (status, fields["Content-Type"]) == (415, "application/problem+json")
    other = RequestFactory().post("/f/x").environ | {"CONTENT_TYPE": kind}
    assert Intake(lambda environ, _start: [environ["CONTENT_TYPE"].encode()])(other, None) == [b"?"]


def test_other_requests_go_django_s_way():
    short = Intake(lambda environ, _start: [environ["PATH_INFO"].encode()])
    requests = RequestFactory()
    for request in (
        requests.get("/api/v1/messages"),
        requests.post("/api/v1/messages/1/release"),
        requests.post("/"),
    ):
        assert short(request.environ, None) == [request.path.encode()]
