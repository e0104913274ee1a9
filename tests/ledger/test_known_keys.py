"""A key that was checked is trusted for less than five seconds, and for no longer than until it is revoked here."""

import pytest
from django.db import transaction

from ledger.kit import ACTOR, NOW, elsewhere, later
from vaguemestre.ledger import keys
from vaguemestre.ledger.known_keys import LIMIT, KnownKeys
from vaguemestre.ledger.models import ApiKey

pytestmark = pytest.mark.django_db


def shop(scopes=("send",)):
    return keys.create("Shop", scopes, ACTOR, NOW)


def revoked_elsewhere(key):
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=NOW)


def test_a_busy_key_is_looked_up_once_in_five_seconds(django_assert_num_queries):
    key, text = shop()
    keys.authenticate(text, NOW)
    with django_assert_num_queries(0):
        for tenth in range(50):
            assert keys.authenticate(text, later(milliseconds=100 * tenth)) == key
    with django_assert_num_queries(1):
        assert keys.authenticate(text, later(seconds=5)) == key


def test_a_revocation_in_this_process_is_heard_of_at_once():
    key, text = shop()
    assert keys.authenticate(text, NOW) == key
    keys.revoke(str(key.uid), ACTOR, NOW)
    assert keys.authenticate(text, NOW) is None


def test_a_revocation_in_another_process_is_heard_of_within_five_seconds():
    key, text = shop()
    assert keys.authenticate(text, NOW) == key
    revoked_elsewhere(key)
    assert keys.authenticate(text, later(seconds=4.999)) == key
    assert keys.authenticate(text, later(seconds=5)) is None


@pytest.mark.parametrize("scope", ["connections", "admin"])
def test_a_key_that_may_change_settings_is_looked_up_every_time(scope):
    key, text = shop(["send", scope])
    assert keys.authenticate(text, NOW) == key
    revoked_elsewhere(key)
    assert keys.authenticate(text, NOW) is None


def test_a_clock_that_was_put_back_makes_no_key_last_longer():
    key, text = shop()
    assert keys.authenticate(text, later(hours=1)) == key
    revoked_elsewhere(key)
    assert keys.authenticate(text, NOW) is None


@pytest.mark.django_db(transaction=True)
def test_what_was_read_before_a_revocation_was_committed_is_not_trusted_after_it():
    key, text = shop()
    keys.authenticate(text, NOW)  # its use is noted: the other thread has nothing to write
    with transaction.atomic():
        keys.revoke(str(key.uid), ACTOR, NOW)
        assert elsewhere(lambda: keys.authenticate(text, NOW)) == key
    assert keys.authenticate(text, NOW) is None


def test_a_look_that_began_before_a_revocation_leaves_nothing_behind():
    key, _ = shop()
    known = KnownKeys()
    began = known.forgotten
    known.forget_all()
    known.keep("digest", key, NOW, began)
    assert known.get("digest", NOW) is None


def test_guessing_fills_nothing(django_assert_num_queries):
    _, text = shop()
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    unknown = "vgm_" + "0" * 12 + "_" + "x" * 43
    before = len(keys._known)
    for guess in (wrong, unknown):
        with django_assert_num_queries(2):
            assert keys.authenticate(guess, NOW) is None
            assert keys.authenticate(guess, NOW) is None
    assert len(keys._known) == before


def test_no_more_keys_are_kept_than_the_limit():
    key, _ = shop()
    known = KnownKeys()
    for number in range(LIMIT + 1):
        known.keep(str(number), key, NOW, known.forgotten)
    assert len(known) <= LIMIT
    assert known.get(str(LIMIT), NOW) == key


def test_the_text_of_a_key_is_not_kept():
    _, text = shop()
    keys.authenticate(text, NOW)
    kept = [repr((digest, vars(key))) for digest, (key, _) in keys._known._checked.items()]
    assert len(kept) >= 1
    assert not [found for found in kept if text[17:] in found]
