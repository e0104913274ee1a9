"""A file's secrets under a passphrase: opened by the same words however they were typed, and at our own cost."""

import unicodedata

import pytest
from cryptography.hazmat.primitives.kdf import scrypt

from vaguemestre.ledger import passphrase
from vaguemestre.ledger.passphrase import LEAST, Seal
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret

pytestmark = pytest.mark.any_database
WORDS = "été à la forêt d’Hyères"
COMPOSED, TAKEN_APART = (Secret(unicodedata.normalize(form, WORDS)) for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("typed", "again"), [(COMPOSED, TAKEN_APART), (TAKEN_APART, COMPOSED)])
def test_accents_may_be_typed_either_way(typed, again):
    assert typed.reveal() != again.reveal()
    sealed = Seal.new(typed)
    text = sealed.close({"password": "p"}, ["bound"])
    assert Seal.of(sealed.parameters, again).open(text, ["bound"]) == {"password": "p"}


def test_a_letter_with_its_accent_counts_as_one():
    with pytest.raises(Invalid, match=f"at least {LEAST}"):
        Seal.new(Secret("e\u0301" * (LEAST - 1)))


@pytest.fixture(scope="module")
def parameters():
    return Seal.new(COMPOSED).parameters


@pytest.mark.parametrize(
    "change",
    [
        {"n": 2**18, "r": 16, "p": 4},  # 512 MiB, four times
        {"n": 2**16},
        {"n": 2**10},
        {"r": 16},
        {"p": 2},
        {"n": "32768"},
        {"kdf": "pbkdf2"},
        {"cipher": "none"},
        {"salt": ""},
        {"salt": "AAAA"},
        {"salt": "not base64"},
    ],
    ids=str,
)
def test_a_file_that_asks_for_another_work_is_refused_before_any(monkeypatch, parameters, change):
    class Never:
        def __init__(self, **_parameters):
            pytest.fail("a key was derived")

    monkeypatch.setattr(passphrase, "Scrypt", Never)
    assert passphrase.Scrypt is not scrypt.Scrypt
    with pytest.raises(Invalid) as caught:
        Seal.of(parameters | change, COMPOSED)
    assert (caught.value.field, caught.value.code) == ("secrets", "seal_syntax")
    assert "n 32768, r 8, p 1" in caught.value.message
    assert "export it again with this version, or leave the secrets out" in caught.value.message
