"""An untrusted certificate is shown as something to pin: the server's own, or the authority that signed it."""

from __future__ import annotations

import pytest

from scripted.certificates import Authority, Certificate, self_signed, x509_pem
from scripted.client import PASSWORD, loopback_network
from scripted.sink import SinkServer
from verification.trial import draft_to, leaks, outcome

pytestmark = pytest.mark.django_db


@pytest.fixture
def stranger():
    """May dial loopback, and trusts the system's authorities alone."""
    return loopback_network()


def with_authority(authority: Authority, *names: str) -> Certificate:
    """A certificate whose server sends its authority along."""
    leaf = authority.certificate(*names)
    return Certificate(leaf.pem + authority.pem, leaf.key)


def tried(certificate, network, encryption="starttls", pin="", host="localhost"):
    """What a verification found at a server with that certificate, and what the server heard."""
    login = {"login": "app", "password": PASSWORD}
    with SinkServer(encryption=encryption, certificate=certificate, **login).in_thread() as sink:
        draft = draft_to(sink, encryption, password=PASSWORD, pinned_certificate=pin, host=host)
        return outcome(draft, network), sink.heard.decode()


@pytest.mark.parametrize("encryption", ["ssl", "starttls"])
def test_an_unknown_authority_that_the_server_sends_along_can_be_pinned(stranger, encryption):
    authority = Authority()
    found, heard = tried(with_authority(authority, "localhost"), stranger, encryption)
    assert found.findings[0].code == "certificate_unknown_authority"
    assert leaks(heard) == []
    shown = found.presented
    assert shown.names == ("localhost",)
    assert shown.authority.pem.strip() == authority.pem.decode().strip()

    pin = shown.authority.pem
    assert tried(with_authority(authority, "localhost"), stranger, encryption, pin)[0].ok
    renewed = authority.certificate("localhost")  # another leaf of the same authority
    assert tried(renewed, stranger, encryption, pin)[0].ok
    other, heard = tried(with_authority(Authority(), "localhost"), stranger, encryption, pin)
    assert other.findings[0].code == "certificate_unknown_authority"
    assert leaks(heard) == []
    wrong_name = tried(authority.certificate("mail.other.example"), stranger, encryption, pin)[0]
    assert wrong_name.findings[0].code == "certificate_wrong_name"


@pytest.mark.parametrize("encryption", ["ssl", "starttls"])
def test_a_certificate_of_the_servers_own_can_be_pinned_whatever_its_name(stranger, encryption):
    certificate = self_signed("mail.intern.example")
    found, heard = tried(certificate, stranger, encryption)
    assert found.findings[0].code == "certificate_self_signed"
    assert leaks(heard) == []
    assert (found.presented.fingerprint, found.presented.authority) == (certificate.fingerprint, None)

    assert tried(certificate, stranger, encryption, found.presented.fingerprint)[0].ok
    changed = self_signed("mail.intern.example")
    after, heard = tried(changed, stranger, encryption, found.presented.fingerprint)
    assert after.findings[0].code == "certificate_changed"
    assert after.presented.fingerprint == changed.fingerprint
    assert leaks(heard) == []


def test_a_leaf_in_pem_is_pinned_as_a_leaf(stranger):
    certificate = self_signed("mail.intern.example")
    pin = x509_pem(certificate.pem)
    assert tried(certificate, stranger, pin=pin)[0].ok
    changed = tried(self_signed("mail.intern.example"), stranger, pin=pin)[0]
    assert changed.findings[0].code == "certificate_changed"


def test_a_pinned_leaf_may_end_and_a_pinned_authoritys_may_not(stranger):
    certificate, authority = self_signed("localhost"), Authority()
    assert tried(certificate, stranger, pin=certificate.fingerprint)[0].validity is None
    other = tried(authority.certificate("localhost"), stranger, pin=authority.pem.decode())[0]
    assert other.validity is not None


def test_an_authority_that_did_not_sign_is_not_offered(stranger):
    leaf = Authority().certificate("localhost")
    found, _ = tried(Certificate(leaf.pem + Authority().pem, leaf.key), stranger)
    assert found.presented.authority is None


def test_a_trusted_certificate_is_not_offered_for_pinning(network):
    with SinkServer(encryption="ssl").in_thread() as sink:
        found = outcome(draft_to(sink, "ssl"), network)
    assert (found.ok, found.presented) == (True, None)
