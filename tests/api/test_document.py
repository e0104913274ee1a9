"""The OpenAPI document, and the API held to it by a machine."""

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from vaguemestre.doors.api import intake
from vaguemestre.wsgi import application

pytestmark = pytest.mark.django_db


@pytest.fixture
def document(api):
    return api.get("/openapi.json").json()


def test_the_document_is_openapi_31(document):
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["BearerKey"] == {"type": "http", "scheme": "bearer"}


def test_every_operation_has_a_stable_name_of_its_own(document):
    names = [
        operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
    ]
    assert len(names) == len(set(names)) == 69
    assert {
        "sendMessage",
        "createConnection",
        "changeConnection",
        "verifyTypedConnection",
        "explainRoute",
    } <= set(names)


def test_a_verification_is_documented_as_json_and_as_events_and_a_finding_may_have_no_phase(document):
    for path in ("/api/v1/connections/verify", "/api/v1/connections/{connection}/verify"):
        operation = document["paths"][path]["post"]
        assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
        assert "recipient" in operation["description"]
    result = document["components"]["schemas"]["VerificationResult"]["properties"]
    assert result["findings"]["items"]["properties"]["phase"]["type"] == ["string", "null"]


@pytest.mark.parametrize("path", ["/connections/{connection}/verify", "/routes/explain"])
def test_a_body_that_may_be_left_out_is_documented_as_such(document, path):
    body = document["paths"][f"/api/v1{path}"]["post"]["requestBody"]
    assert body["required"] is False
    assert body["content"]["application/json"]["schema"]["$ref"]


def test_every_reference_leads_somewhere(document):
    def references(part):
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"]
            for inner in part.values():
                yield from references(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from references(inner)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_the_document_needs_no_key(client):
    assert client.get("/api/v1/openapi.json").status_code == 200


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def same_connection(monkeypatch):
    """As Django's own test client does: the end of a request does not end the test's transaction."""
    monkeypatch.setattr(intake, "close_old_connections", lambda: None)
    request_finished.disconnect(close_old_connections)
    request_started.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)
    request_started.connect(close_old_connections)


# Verifying dials what was generated, recognising asks DNS about it, and a raw message is no JSON; both are fuzzed elsewhere.
schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application).exclude(
    path_regex="verify|raw|deliverability|recognise"
)


# What PostgreSQL alone might refuse is given to it by `test_bad_input`.
@pytest.mark.any_database
@schema.parametrize()
@settings(max_examples=10, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_i09_every_operation_answers_as_the_document_says(case, api, office, same_connection):
    case.call_and_validate(headers={"Authorization": f"Bearer {api.key}"}, checks=CHECKS)
