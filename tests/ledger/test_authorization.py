"""What an account of OAuth 2.0 in the ledger cannot be."""

import pytest
from django.db import IntegrityError, transaction

from ledger.kit import NOW, connect, later
from vaguemestre.ledger.models import Authorization

pytestmark = pytest.mark.django_db
WHOLE = {
    "provider": "microsoft", "grant": "client_credentials", "client_id": "an-application",
    "token_endpoint": "https://login.example.org/token",
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider": "somebody"},
        {"grant": "implicit"},
        {"token_endpoint": ""},
        {"asking": "a-courier"},
        {"asking_until": NOW},
        {"expires_at": NOW},
        {"obtained_at": NOW},
    ],
)
def test_the_database_refuses_an_account_that_cannot_be(wrong):
    office = connect()
    with pytest.raises(IntegrityError), transaction.atomic():
        Authorization.objects.create(connection=office, **WHOLE | wrong)
    assert Authorization.objects.count() == 0


def test_a_whole_account_is_kept():
    whole = {
        "asking": "a-courier",
        "asking_until": later(seconds=20),
        "obtained_at": NOW,
        "expires_at": later(hours=1),
    }
    Authorization.objects.create(connection=connect(), **WHOLE | whole)
    assert Authorization.objects.get().expires_at == later(hours=1)
