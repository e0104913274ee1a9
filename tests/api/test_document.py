"""The OpenAPI document, and the API held to it by a machine."""

import re

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from api.test_auth import SCOPES_OF
from vaguemestre.doors.api import intake

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


def test_every_parameter_has_its_name_and_those_of_a_list_may_be_left_out(document):
    of_operations = [
        (one["name"], one["in"], one["required"])
        for methods in document["paths"].values()
        for operation in methods.values()
        for one in operation.get("parameters", ())
    ]
    assert [one for one in of_operations if not one[0]] == []
    (listed,) = [methods["get"] for path, methods in document["paths"].items() if path.endswith("/forms")]
    assert [(one["name"], one["required"]) for one in listed["parameters"]] == [
        ("limit", False), ("cursor", False),
    ]  # fmt: skip


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


@pytest.fixture
def same_connection(monkeypatch):
    """As Django's own test client does: the end of a request does not end the test's transaction."""
    monkeypatch.setattr(intake, "close_old_connections", lambda: None)
    request_finished.disconnect(close_old_connections)
    request_started.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)
    request_started.connect(close_old_connections)


@pytest.fixture(scope="module")
def operations():
    """As schemathesis sees them: it is loaded here, since that takes every process of a test run 1.4 s."""
    import schemathesis

    from vaguemestre.wsgi import application

    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
    return [found.ok() for found in schema.get_all_operations()]


def at(method, path, operations):
    """The operation at an address in which `x` or `1` stands for each name."""
    (operation,) = [
        one
        for one in operations
        if one.method.upper() == method and re.fullmatch(re.sub("{.+?}", "[x1]", one.path), f"/api/v1{path}")
    ]
    return operation


# Verifying dials what was generated, recognising asks DNS about it, and a raw message is no JSON; both are fuzzed elsewhere.
ELSEWHERE = re.compile("verify|raw|deliverability|recognise")
OPERATIONS = sorted({(method, path) for method, path, _scopes in SCOPES_OF if not ELSEWHERE.search(path)})


# What PostgreSQL alone might refuse is given to it by `test_bad_input`.
@pytest.mark.any_database
@pytest.mark.usefixtures("office", "same_connection")
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_i09_every_operation_answers_as_the_document_says(operations, api, method, path):
    from schemathesis.checks import not_a_server_error
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi import checks

    told = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    operation = at(method, path, operations)

    @settings(
        max_examples=10, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(some.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def answers(case):
        case.call_and_validate(
            headers={"Authorization": f"Bearer {api.key}"}, checks=[not_a_server_error, *told]
        )

    answers()
