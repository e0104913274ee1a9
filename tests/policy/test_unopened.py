"""The word that tells a person why a connection cannot be used, row by row."""

import pytest

from vaguemestre.ledger import wording
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.policy.judgement import Case, Why
from vaguemestre.policy.unopened import ABOUT_ENCRYPTION, ABOUT_SIGN_IN
from vaguemestre.policy.verdict import judge


def happened(phase, cause, **facts):
    return Trouble(phase, cause, None, facts)


def said(phase, line, **facts):
    return Trouble(phase, Cause.REPLY, Reply(int(line[:3]), line[4:]), facts)


@pytest.mark.parametrize(
    ("trouble", "row", "why"),
    [
        (happened(Phase.RESOLVE, Cause.HOST_UNKNOWN), 5, Why.HOST_UNKNOWN),
        (happened(Phase.RESOLVE, Cause.TIMEOUT), 5, Why.LOOKUP_FAILED),
        (happened(Phase.CONNECT, Cause.CONNECTION_REFUSED), 5, Why.CONNECTION_REFUSED),
        (happened(Phase.CONNECT, Cause.TIMEOUT), 5, Why.NO_ANSWER),
        (happened(Phase.CONNECT, Cause.SOURCE_ADDRESS), 5, Why.SOURCE_ADDRESS),
        (happened(Phase.CONNECT, Cause.LOST), 5, Why.SERVER_UNAVAILABLE),
        (happened(Phase.GREETING, Cause.NOT_SMTP), 5, Why.NOT_SMTP),
        (happened(Phase.GREETING, Cause.TLS_EXPECTED), 5, Why.TLS_EXPECTED),
        (happened(Phase.GREETING, Cause.TIMEOUT), 5, Why.NO_DIALOGUE),
        (happened(Phase.EHLO, Cause.MALFORMED), 5, Why.NO_DIALOGUE),
        (said(Phase.GREETING, "554 5.3.2 go away"), 5, Why.TURNED_AWAY),
        (said(Phase.GREETING, "554 5.7.1 client host rejected: blocked"), 5, Why.ADDRESS_NOT_LISTED),
        (happened(Phase.STARTTLS, Cause.NOT_OFFERED), 6, Why.STARTTLS_MISSING),
        (happened(Phase.TLS, Cause.TLS_NOT_SPOKEN), 6, Why.TLS_NOT_SPOKEN),
        (happened(Phase.STARTTLS, Cause.TLS_NOT_SPOKEN), 6, Why.ENCRYPTION_FAILED),
        (happened(Phase.TLS, Cause.CERTIFICATE_SELF_SIGNED), 6, Why.CERTIFICATE_UNVOUCHED),
        (happened(Phase.TLS, Cause.CERTIFICATE_OTHER, pinned="ab"), 6, Why.CERTIFICATE_CHANGED),
        (happened(Phase.TLS, Cause.CERTIFICATE_OTHER), 6, Why.CERTIFICATE_UNTRUSTED),
        (happened(Phase.AUTH, Cause.TIMEOUT), 7, Why.SIGN_IN_UNAVAILABLE),
        (happened(Phase.AUTH, Cause.TIMEOUT, oauth="no_token_for_now"), 7, Why.TOKEN_UNAVAILABLE),
        (said(Phase.AUTH, "535 5.7.8 no", oauth="XOAUTH2"), 8, Why.TOKEN_REFUSED),
        (happened(Phase.AUTH, Cause.NOT_OFFERED), 8, Why.SIGN_IN_NOT_OFFERED),
        (happened(Phase.AUTH, Cause.NO_MECHANISM), 8, Why.NO_MECHANISM),
        (happened(Phase.AUTH, Cause.NOT_PERMITTED), 8, Why.SIGN_IN_IN_CLEAR),
        (said(Phase.AUTH, "535 5.7.8 bad"), 8, Why.SIGN_IN_REFUSED),
        (said(Phase.AUTH, "538 5.7.11 encryption required"), 8, Why.SIGN_IN_IN_CLEAR),
        (said(Phase.AUTH, "530 5.7.0 Must issue a STARTTLS command first"), 8, Why.SIGN_IN_IN_CLEAR),
        (said(Phase.AUTH, "534 5.7.9 Application-specific password required"), 8, Why.APP_PASSWORD_NEEDED),
        (said(Phase.AUTH, "535 5.7.139 SmtpClientAuthentication is disabled"), 8, Why.PASSWORD_OFF),
        (said(Phase.AUTH, "535 5.7.1 your IP is not whitelisted"), 8, Why.ADDRESS_NOT_LISTED),
        (said(Phase.MAIL, "530 5.7.0 authentication required"), 10, Why.SIGN_IN_REQUIRED),
        (said(Phase.MAIL, "530 5.7.0 Must issue a STARTTLS command first"), 10, Why.ENCRYPTION_REQUIRED),
        (said(Phase.MAIL, "550 5.7.1 relaying denied"), 10, Why.ACCESS_DENIED),
    ],
)
def test_the_word_is_that_of_the_cause(trouble, row, why):
    judgement = judge(Case(trouble))
    assert (judgement.row, judgement.why) == (row, why)
    assert (why in ABOUT_ENCRYPTION) is (row == 6)
    assert (why in ABOUT_SIGN_IN) is (row == 8 and why is not Why.ADDRESS_NOT_LISTED)


def test_every_word_has_a_text():
    assert [why for why in Why if wording.health_text(why) == why and why is not Why.ALREADY_SETTLED] == []
