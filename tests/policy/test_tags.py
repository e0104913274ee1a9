"""Lists of tags, as DMARC and DKIM records are: read strictly, and in linear time."""

import time

import pytest

from vaguemestre.policy import dkim, tags
from vaguemestre.policy.tags import Malformed


def test_tags_are_read_in_their_order_and_without_the_blanks_around_them():
    assert tags.parse(" v = DKIM1 ; P=a b;\tt= ;") == {"v": "DKIM1", "p": "a b", "t": ""}


@pytest.mark.parametrize("text", ["", "v", "v=1;;p=2", "1=2", "v=1; V=2", "é=1", "v=\ufffd", "a b=1"])
def test_what_is_no_list_of_tags_is_none(text):
    with pytest.raises(Malformed):
        tags.parse(text)


@pytest.mark.parametrize("fill", [" ", "v= ;", "\t=", "a", "verification"])
def test_a_record_of_anything_is_read_in_linear_time(fill):
    text = "p=" + fill * (60_000 // len(fill)) + "\ufffd"
    began = time.thread_time()
    with pytest.raises(Malformed):
        tags.parse(text)
    dkim.is_record(text[2:])
    assert time.thread_time() - began < 0.5
