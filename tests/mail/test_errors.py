"""A refusal names its field and passes every context manager."""

import pickle
from contextlib import contextmanager

import pytest

from vaguemestre.mail.errors import Invalid


@contextmanager
def passed_through():
    yield


def test_a_refusal_passes_a_context_manager():
    with pytest.raises(Invalid) as caught, passed_through():
        raise Invalid("host", "host_empty", "The server is needed.")
    assert str(caught.value) == "host: The server is needed."


def test_the_same_fault_can_be_found_elsewhere():
    moved = Invalid("address", "address_syntax", "No address.", {"x": 1}).at("to[2]")
    assert (moved.field, moved.code, moved.message, moved.facts) == (
        "to[2]",
        "address_syntax",
        "No address.",
        {"x": 1},
    )


def test_a_refusal_survives_a_process_boundary():
    copy = pickle.loads(pickle.dumps(Invalid("a", "b", "c", {"d": 1})))
    assert (copy.field, copy.code, copy.message, copy.facts) == ("a", "b", "c", {"d": 1})
