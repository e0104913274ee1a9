"""Values of a posted object, each of the type that its field has.

Raises `Refusal` at the field; several faults are gathered where the caller asks for them together.
"""

from __future__ import annotations

from collections.abc import Mapping

from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.errors import Invalid

_NAMED = 20  # faults of one list; who sends more has one mistake


def known_only(values: Mapping[str, object], *names: str, within: str = "") -> None:
    """Refuse fields that are none; `within` is the path of the object, such as `items[0].`."""
    faults = [
        Invalid(f"{within}{name}", "unknown_field", f"There is no field {name}.")
        for name in values
        if name not in names
    ]
    if faults:
        raise Refusal(*faults)


def text(values: Mapping[str, object], name: str, within: str = "") -> str:
    """A text; "" where it is absent or null."""
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal(Invalid(f"{within}{name}", "not_text", "Text is needed here."))
    return value


def flag(values: Mapping[str, object], name: str, *, otherwise: bool) -> bool:
    """True or false; `otherwise` where it is absent or null."""
    value = values.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, bool):
        raise Refusal(Invalid(name, "not_boolean", "This is either true or false."))
    return value


def mapping(values: Mapping[str, object], name: str) -> Mapping[str, object]:
    """An object; an empty one where it is absent or null."""
    value = values.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(Invalid(name, "not_object", "An object is needed here."))
    return value


def needed(values: Mapping[str, object], *names: str) -> None:
    """Refuse an object without these fields, or with nothing in them."""
    faults = [Invalid(name, "missing", "This is needed.") for name in names if values.get(name) in (None, "")]
    if faults:
        raise Refusal(*faults)


def texts(values: Mapping[str, object], name: str) -> list[str]:
    """A list of texts; empty where it is absent or null."""
    value = values.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refusal(Invalid(name, "not_texts", "A list of texts is needed here."))
    return value


def objects(values: Mapping[str, object], name: str, most: int, *, least: int = 0) -> list[dict[str, object]]:
    """A list of at least `least` and at most `most` objects."""
    value = values.get(name)
    if not isinstance(value, list):
        raise Refusal(Invalid(name, "not_objects", "A list of objects is needed here."))
    wrong = [position for position, item in enumerate(value) if not isinstance(item, dict)]
    if wrong:
        faults = (
            Invalid(f"{name}[{at}]", "not_objects", "An object is needed here.") for at in wrong[:_NAMED]
        )
        raise Refusal(*faults)
    if len(value) < least:
        raise Refusal(Invalid(name, "too_few", f"At least {least} is needed here."))
    if len(value) > most:
        raise Refusal(Invalid(name, "too_many", f"At most {most} are taken here."))
    return value
