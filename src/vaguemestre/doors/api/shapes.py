"""The pieces that schemas of the API are made of (JSON Schema 2020-12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

type JsonSchema = dict[str, Any]

TEXT: JsonSchema = {"type": "string"}
FLAG: JsonSchema = {"type": "boolean"}
COUNT: JsonSchema = {"type": "integer"}
MAYBE_TEXT: JsonSchema = {"type": ["string", "null"]}
MAYBE_COUNT: JsonSchema = {"type": ["integer", "null"]}
ID: JsonSchema = {"type": "string", "format": "uuid"}
MAYBE_ID: JsonSchema = {"type": ["string", "null"], "format": "uuid"}
TIME: JsonSchema = {"type": "string", "format": "date-time"}
MAYBE_DAY: JsonSchema = {"type": ["string", "null"], "format": "date"}
MAYBE_TIME: JsonSchema = {"type": ["string", "null"], "format": "date-time"}
ANY_OBJECT: JsonSchema = {"type": "object"}


def ref(name: str) -> JsonSchema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: JsonSchema, **more: Any) -> JsonSchema:
    """A list."""
    return {"type": "array", "items": items, **more}


def one_of(*values: str) -> JsonSchema:
    """One of these words."""
    return {"type": "string", "enum": list(values)}


def object_of(fields: Mapping[str, JsonSchema], *, optional: tuple[str, ...] = ()) -> JsonSchema:
    """An answer's object."""
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": dict(fields), "required": required}


def input_of(fields: Mapping[str, JsonSchema], *required: str) -> JsonSchema:
    """A body that is posted: no other fields."""
    schema: JsonSchema = {"type": "object", "properties": dict(fields), "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def page(name: str) -> JsonSchema:
    """A page of a list."""
    return object_of({"items": array(ref(name)), "next": MAYBE_TEXT})
