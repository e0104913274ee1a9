"""Values that are made many times for each message: frozen dataclasses, three times quicker to make.

`dataclass(frozen=True)` sets each field by a call, so that nobody can set it afterwards. Here only the type
checker sees to that: for it a `value` is as frozen, and `make check` refuses an assignment. It is slotted,
compared and hashed by its fields, and holds nothing that is worked out later (`cached_property`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value[T](cls: type[T]) -> type[T]:
    """The class as such a dataclass."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def entity[T](cls: type[T]) -> type[T]:
    """The same, equal to itself alone."""
    return dataclass(slots=True, eq=False)(cls)
