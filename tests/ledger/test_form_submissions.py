"""Submissions at once: limits are exact, the same content is taken once, a reply belongs to its submission."""

import pytest
from django.db import IntegrityError, transaction

from ledger.kit import NOW, at_once, connect, later, sql
from vaguemestre.ledger import form_limits, form_submissions, forms
from vaguemestre.ledger.form_letters import Sent
from vaguemestre.ledger.form_limits import TooMany, network
from vaguemestre.ledger.models import Delivery, FormSubmission, FormUse
from vaguemestre.ledger.refusals import Missing
from vaguemestre.policy.form_field import fill

FIELDS = [
    {"name": "email", "label": "Email", "kind": "email"},
    {"name": "text", "label": "Text", "kind": "lines"},
]


def contact(**values):
    connect()
    given = {"name": "Contact", "fields": FIELDS, "notify": ["desk@example.org"]}
    return forms.create(given | values, "cli:test", NOW)


def sent(form, number, nonce=None, address="192.0.2.1"):
    given = {"email": f"v{number}@example.com", "text": f"number {number}"}
    return Sent(fill(forms.fields_of(form), given), (), "en", address, nonce)


@pytest.mark.django_db(transaction=True)
def test_a_limit_is_exact_under_submissions_at_once():
    form = contact(per_address=100, per_hour=7)
    jobs = [lambda n=n: form_submissions.take(form, sent(form, n, nonce=str(n)), NOW) for n in range(16)]
    answers = at_once(jobs)
    refused = [answer for answer in answers if isinstance(answer, TooMany)]
    assert (len(refused), FormSubmission.objects.count(), Delivery.objects.count()) == (9, 7, 14)
    assert FormUse.objects.filter(bucket="all").count() == 7


@pytest.mark.django_db
def test_no_hour_lets_more_through_than_an_hour_may():
    """Two bursts, before and after the moment at which a fixed span would begin anew."""
    form = contact(per_address=300, per_hour=4)

    def burst(minute, count=4):
        taken = 0
        for number in range(count):
            one = sent(form, f"{minute}-{number}", nonce=f"{minute}-{number}")
            try:
                form_submissions.take(form, one, later(minutes=minute))
            except TooMany:
                continue
            taken += 1
        return taken

    assert [burst(0, 1), burst(59), burst(60), burst(61)] == [1, 3, 1, 0]
    assert [burst(118), burst(119), burst(120)] == [0, 3, 1]
    form_limits.forget(later(hours=25))
    assert FormUse.objects.filter(bucket="all").count() == 4


@pytest.mark.django_db(transaction=True)
def test_the_same_at_once_is_taken_once():
    form = contact()
    answers = at_once([lambda: form_submissions.take(form, sent(form, 1), NOW)] * 8)
    assert len({answer.pk for answer in answers}) == 1
    assert Delivery.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    "ending",
    [
        lambda form: forms.edit(form.key, {"active": False}, "cli:test", NOW),
        lambda form: forms.delete(form.key, "cli:test", NOW),
    ],
)
def test_a_form_that_ended_meanwhile_takes_nothing(ending):
    form = contact()
    ending(form)
    with pytest.raises(Missing) as refused:
        form_submissions.take(form, sent(form, 1), NOW)
    assert (refused.value.kind, refused.value.key) == ("form", form.key)
    assert (FormSubmission.objects.count(), Delivery.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_a_reply_without_an_address_cannot_be():
    form = contact()
    form_submissions.take(form, sent(form, 1), NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        sql("UPDATE ledger_formsubmission SET email = ''")
    with pytest.raises(IntegrityError), transaction.atomic():
        sql("UPDATE ledger_form SET per_hour = 0")


def test_an_address_is_one_line_of_a_visitor():
    assert network("192.0.2.7") == network("::ffff:192.0.2.7") == "192.0.2.7"
    assert network("2001:db8:1:2:3:4:5:6") == network("2001:db8:1:2::1") == "2001:0db8:0001:0002"
    assert network("no address") == ""
