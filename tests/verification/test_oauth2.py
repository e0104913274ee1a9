"""Verification with OAuth 2.0: each step seen, and what is missing named, with no token shown anywhere."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from ledger.kit import ACTOR, connect, fresh
from scripted.authorization import CLIENT, CLIENT_SECRET, AuthorizationServer
from scripted.sink import SinkServer
from vaguemestre.ledger import connections, oauth2
from vaguemestre.ledger.models import Verification
from vaguemestre.ledger.refusals import Refusal
from vaguemestre.mail.state import Health
from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.ladder import step_text
from vaguemestre.verification.outcome import as_json
from vaguemestre.verification.probe import verify
from vaguemestre.verification.wording import words
from verification.trial import NOW

pytestmark = pytest.mark.django_db(transaction=True)
MAILBOX = "office@example.org"


@contextmanager
def world(mechanisms="LOGIN XOAUTH2", **server):
    """An authorization server, and a mail server that takes its tokens and nothing else."""
    with AuthorizationServer(**server).serving() as tokens:
        sink = SinkServer(login=MAILBOX, mechanisms=mechanisms, tokens=tokens.tokens, require_auth=True)
        with sink.in_thread():
            yield tokens, sink


def values(tokens, sink, **account):
    whole = {
        "provider": "generic", "grant": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
        "token_endpoint": tokens.token_endpoint, "scope": "mail.send",
    }  # fmt: skip
    return {
        "sender_email": MAILBOX, "host": "127.0.0.1", "port": sink.port, "encryption": "none", "login": MAILBOX,
        "auth": "oauth2", "oauth2": whole | account,
    }  # fmt: skip


def outcome(draft):
    *_, found = verify(draft, NOW)
    return found


def only_error(found):
    finding = found.findings[0]
    return finding.code, words(finding)["why"]


@pytest.mark.parametrize(
    ("mechanisms", "used"), [("LOGIN XOAUTH2", "XOAUTH2"), ("XOAUTH2 OAUTHBEARER", "OAUTHBEARER")]
)
def test_typed_settings_ask_for_a_token_and_sign_in_with_it(mechanisms, used):
    with world(mechanisms) as (tokens, sink):
        found = outcome(connections.draft(values(tokens, sink)))
    assert found.ok
    first = found.steps[0]
    assert (first.phase, first.sent, first.detail) == ("auth", "token from 127.0.0.1", "mail.send")
    assert step_text(first) == "Token obtained (OAuth2)"
    assert found.mechanism == used
    told = json.dumps(as_json(found, words)) + repr(found) + repr(list(Verification.objects.values()))
    assert not any(secret in told for secret in (*tokens.tokens, CLIENT_SECRET))


def test_a_server_that_takes_passwords_alone_is_not_said_to_want_plain_or_login():
    with world("PLAIN LOGIN") as (tokens, sink):
        found = outcome(connections.draft(values(tokens, sink)))
    told = words(found.findings[0])
    assert (told["code"], told["what"]) == ("no_mechanism", "127.0.0.1 takes no token (OAuth2)")
    assert "The server offers: PLAIN LOGIN." in told["why"]


def test_a_verification_counts_for_the_save_and_the_saved_one_shares_its_token():
    with world() as (tokens, sink):
        typed = values(tokens, sink)
        outcome(connections.draft(typed))
        saved = connections.create({"name": "Office", **typed}, ACTOR, NOW)
        assert not saved.unverified
        for _ in range(2):
            assert outcome(connections.saved_draft(fresh(saved.connection))).ok
        assert len(tokens.asked) == 2  # once as typed, once for whoever uses the saved one
    assert oauth2.kept_of(fresh(saved.connection)).access.reveal() == tokens.tokens[1]


def test_a_server_that_refuses_the_token_is_told_with_its_reason_in_words():
    with world() as (tokens, sink):
        sink.tokens = ()
        found = outcome(connections.draft(values(tokens, sink)))
        assert sink.faults == []  # the reason was answered as XOAUTH2 wants it
    code, why = only_error(found)
    assert code is FindingCode.OAUTH2_TOKEN_REFUSED
    assert "The reason in the server’s answer: 401. It wants a token for: mail.send." in why
    refused = [step for step in found.steps if step.phase == "auth"][-1]
    assert (refused.sent, refused.reply.code, refused.detail) == (
        "(empty)", 535, "status 401, scope mail.send, schemes bearer",
    )  # fmt: skip


def test_a_token_without_the_scope_is_told_what_it_lacks():
    with world(as_jwt={"roles": ["Mail.Send"]}) as (tokens, sink):
        sink.tokens = ()
        microsoft = {"provider": "microsoft", "tenant": "example.org", "scope": ""}
        found = outcome(connections.draft(values(tokens, sink, **microsoft)))
    code, why = only_error(found)
    assert code is FindingCode.OAUTH2_SCOPE_MISSING
    assert "The token does not hold: SMTP.SendAsApp." in why
    assert found.steps[0].detail == "Mail.Send"


@pytest.mark.parametrize(
    ("server", "account", "code", "said"),
    [
        (
            {},
            {"client_secret": "run-out-secret"},
            "oauth2_application_refused",
            "The secret *** is not right.",
        ),
        ({"away": True}, {}, "oauth2_token_unavailable", "It answered with an error (HTTP)"),
        (
            {},
            {"token_endpoint": "https://10.0.0.1/token"},
            "oauth2_token_unavailable",
            "its operator can allow it",
        ),
    ],
)
def test_without_a_token_no_mail_server_is_dialled(server, account, code, said):
    with world(**server) as (tokens, sink):
        found = outcome(connections.draft(values(tokens, sink, **account)))
        assert sink.sessions == 0
    assert [step.sent.split()[0] for step in found.steps] == ["token"]
    assert only_error(found)[0] == code
    assert said in only_error(found)[1]
    assert "run-out-secret" not in repr(found)


def test_an_account_that_nobody_set_up_or_agreed_to_is_told_so():
    with world() as (tokens, sink):
        bare = {name: value for name, value in values(tokens, sink).items() if name != "oauth2"}
        assert only_error(outcome(connections.draft(bare)))[0] is FindingCode.OAUTH2_NOT_CONNECTED
        person = {"grant": "authorization_code", "authorization_endpoint": tokens.authorization_endpoint}
        office = connections.create(
            {"name": "Office", **values(tokens, sink, **person)}, ACTOR, NOW
        ).connection
        found = outcome(connections.saved_draft(office))
        assert only_error(found)[0] is FindingCode.OAUTH2_NOT_CONNECTED
        assert tokens.asked == []


def test_a_refresh_token_is_verified_once_it_is_saved_and_not_before():
    with world() as (tokens, sink):
        tokens.refresh_tokens.append("the-first")
        person = {"grant": "authorization_code", "authorization_endpoint": tokens.authorization_endpoint}
        typed = values(tokens, sink, **person, refresh_token="the-first")
        with pytest.raises(Refusal) as refused:
            connections.draft(typed)
        assert [fault.code for fault in refused.value.errors] == ["oauth2_save_first"]
        office = connections.create({"name": "Office", **typed}, ACTOR, NOW).connection
        assert outcome(connections.saved_draft(office)).ok
        tokens.withdrawn = True
        type(office).objects.update(health=Health.LOCKED.value, health_why="consent_withdrawn")
        oauth2.keep(
            fresh(office), oauth2.account_of(fresh(office)), oauth2.kept_of(fresh(office)), NOW
        )  # its token is gone
        found = outcome(connections.saved_draft(fresh(office)))
        assert only_error(found)[0] is FindingCode.OAUTH2_CONSENT_WITHDRAWN
        assert "The provider’s answer: The grant was revoked." in only_error(found)[1]
        assert fresh(office).health == "locked"
        again = {"oauth2": {"refresh_token": "a-new-consent"}}
        connections.edit(str(office.uid), again, ACTOR, NOW)
        assert fresh(office).health == "ready"  # connected anew


def test_a_connection_with_a_password_asks_for_no_token():
    with world() as (tokens, sink):
        office = connect(host="127.0.0.1", port=sink.port, encryption="none")
        outcome(connections.saved_draft(office))
        assert tokens.asked == []
