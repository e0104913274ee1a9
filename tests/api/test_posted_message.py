"""A posted message's fields are handed on by place: each gets to the attribute of its name."""

from dataclasses import fields

import pytest

from vaguemestre.doors.api.posted_message import _ABSENT, FIELDS
from vaguemestre.ledger.submission import Submission
from vaguemestre.mail.compose import Post


def test_fields_stand_in_the_order_of_what_they_are_handed_on_as():
    post = [one.name.removesuffix("_") for one in fields(Post)]
    submission = [one.name for one in fields(Submission)][4:11]
    assert [*FIELDS] == [*post, *submission, "template", "data", "language"]


def test_what_stands_for_absent_data_is_of_all_requests_and_nobody_writes_in_it():
    with pytest.raises(TypeError):
        _ABSENT["data"]["number"] = 1
