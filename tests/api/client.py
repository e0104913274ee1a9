"""A client of the API with a key of its own."""

import json
from dataclasses import dataclass, field

from django.test import Client
from django.utils import timezone

from vaguemestre.ledger import connections, keys

ALL = ("send", "read", "connections", "admin")


@dataclass
class Api:
    """Speaks JSON with one key; every answer that is no success must be a problem."""

    key: str = ""
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def call(
        self, method, path, body=None, *, query=None, raw=None, content_type="application/json", **headers
    ):
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            given.setdefault("Authorization", f"Bearer {self.key}")
        response = self.client.generic(
            method, f"/api/v1{path}", data, content_type=content_type, headers=given, query_params=query
        )
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json", response.content
            problem = response.json()
            assert problem["status"] == response.status_code
            assert {"type", "title", "status", "detail", "errors"} <= set(problem)
        return response

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

    def patch(self, path, body, **options):
        return self.call("PATCH", path, body, **options)

    def put(self, path, body, **options):
        return self.call("PUT", path, body, **options)

    def delete(self, path, **options):
        return self.call("DELETE", path, **options)


def key_with(*scopes, **limits):
    """A client whose new key has these scopes."""
    return Api(keys.create("test", scopes, "cli:test", timezone.now(), **limits)[1])


def connection(name, **values):
    """A connection of that name, saved through the ledger."""
    given = {
        "name": name,
        "sender_email": f"{name.lower().replace(' ', '.')}@example.org",
        "host": "smtp.example.org",
        "encryption": "starttls",
    }
    return connections.create(given | values, "cli:test", timezone.now()).connection


def fields_of(response):
    """The fields that a problem names."""
    return [error["field"] for error in response.json()["errors"]]
