"""A batch gives the interpreter away while others are at work, and does not pause for nobody."""

import json
import time

import pytest
from django.utils import timezone

from vaguemestre.doors.api.batch import accept_batch
from vaguemestre.doors.api.company import Company, requests
from vaguemestre.ledger.models import ApiKey

MESSAGES = [{"to": "a@example.net", "text": "x"}] * 96


def test_one_request_is_alone_and_two_are_not():
    company = Company()
    assert company.alone
    with company.joined():
        assert company.alone
        with company.joined():
            assert not company.alone
        assert company.alone


def test_a_request_that_fails_is_gone_too():
    company = Company()
    with pytest.raises(ValueError, match="x"), company.joined(), company.joined():
        raise ValueError("x")
    assert company.alone


@pytest.mark.django_db
@pytest.mark.parametrize(("others", "pauses"), [(1, 7), (0, 0)])
def test_a_batch_pauses_behind_each_slice_and_its_commit_where_others_are_at_work(
    api, office, monkeypatch, others, pauses
):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with requests.joined():
        if others:
            with requests.joined():
                answers = accept_batch(MESSAGES, ApiKey.objects.get(), timezone.now(), suspect=False)
        else:
            answers = accept_batch(MESSAGES, ApiKey.objects.get(), timezone.now(), suspect=False)
    assert (len(json.loads(answers)["results"]), len(slept)) == (96, pauses)
