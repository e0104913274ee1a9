"""The HTTP API as one object: its operations, its OpenAPI 3.1 document, its handling of errors."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema

from vaguemestre.doors.api import (
    configuration,
    connections,
    deliverability,
    deliverability_schemas,
    form_schemas,
    forms,
    imports,
    invoices,
    keys,
    letter_schemas,
    messages,
    notifications,
    preview_schemas,
    previews,
    provider_schemas,
    providers,
    reports,
    routes,
    schemas,
    sending,
    streams,
    templates,
    verification,
)
from vaguemestre.doors.api.auth import BearerKey
from vaguemestre.doors.api.problems import answer_problem


class DocumentedApi(NinjaAPI):
    """Ninja's API, whose document has our schemas, and whose operations make their own responses."""

    unused = HttpResponse(status=500)

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """The OpenAPI document."""
        document = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        document["components"]["schemas"] = (
            schemas.SCHEMAS
            | provider_schemas.SCHEMAS
            | deliverability_schemas.SCHEMAS
            | letter_schemas.SCHEMAS
            | form_schemas.SCHEMAS
            | preview_schemas.SCHEMAS
        )
        return document

    def create_temporal_response(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002  ninja's signature
        """What ninja would fill for an operation that answers with values; `endpoint` gives responses."""
        return self.unused


api = DocumentedApi(
    title="Vaguemestre",
    version="1",
    description="Keep connections, verify them, hand messages over, and see what became of them.",
    openapi_url="/openapi.json",
    # Ninja's own page loads its program from elsewhere unless it is installed as an app.
    docs_url=None,
    auth=BearerKey(),
    urls_namespace="api-v1",
)
for router in (
    # Before the connections: their {connection} would take the word `verify` for a name.
    verification.router,
    providers.router,
    imports.router,
    connections.router,
    deliverability.router,
    previews.router,
    configuration.router,
    sending.router,
    streams.router,
    forms.router,
    routes.router,
    messages.router,
    notifications.router,
    invoices.router,
    reports.router,
    templates.router,
    keys.router,
):
    api.add_router("", router)
for kind in (Exception, Http404, HttpError, ValidationError):
    api.add_exception_handler(kind, answer_problem)
