"""When each finding is seen: for whoever has to explain it, beside what, why and remedy."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode

SEEN = {
    FindingCode.OK: gettext_noop(
        "Seen when the dialogue went through to the sender’s MAIL, answered 250, and was reset."
    ),
    FindingCode.HOST_UNKNOWN: gettext_noop(
        "Seen when name lookup answers that there is no such name, or that it has no address."
    ),
    FindingCode.LOOKUP_FAILED: gettext_noop(
        "Seen when name lookup fails otherwise, or does not answer within 8 s."
    ),
    FindingCode.ADDRESS_NOT_PERMITTED: gettext_noop(
        "Seen when every address of the name, or the port, is refused by the guard "
        "(VAGUEMESTRE_EGRESS_ALLOW, VAGUEMESTRE_EGRESS_PORTS). Nothing was dialled, and the answer is the "
        "same whatever stands there. For ports 110, 143, 993, 995, 80 and 443 the remedy adds what they "
        "are for."
    ),
    FindingCode.REFUSED: gettext_noop("Seen when TCP answers with a reset."),
    FindingCode.NO_ANSWER: gettext_noop(
        "Seen when TCP does not connect within 10 s, or the network says that there is no way. On port 25 "
        "the remedy adds that many networks close it."
    ),
    FindingCode.SOURCE_ADDRESS_UNUSABLE: gettext_noop(
        "Seen when the system refuses the local address of the connection, or every address of the server "
        "is of the other family."
    ),
    FindingCode.SILENT: gettext_noop("Seen when TCP connects, and no greeting comes."),
    FindingCode.NOT_SMTP: gettext_noop(
        "Seen when the first bytes are no SMTP reply. They are never shown, for it may be anything; the "
        "page says which kind it is, where the greeting tells: a website, SSH, IMAP or POP."
    ),
    FindingCode.GREETING_BUSY: gettext_noop("Seen when the greeting is 421 or another 4yz."),
    FindingCode.GREETING_REJECTED: gettext_noop("Seen when the greeting is 5yz, mostly 554."),
    FindingCode.EHLO_REFUSED: gettext_noop(
        "Seen when EHLO is answered 5yz, or a later reply refuses the name that was given there."
    ),
    FindingCode.SSL_ON_STARTTLS_PORT: gettext_noop(
        "Seen when SSL is chosen, and the answer to the handshake is plain text; or the port is one of "
        "25, 587, 2525, 2587 and the handshake gets no answer."
    ),
    FindingCode.STARTTLS_ON_SSL_PORT: gettext_noop(
        "Seen when a plain dialogue is tried, and TLS comes back; or no greeting comes within 2 s, and a "
        "second link to the same address takes TLS (not tried on port 25); or the port is 465 or 2465 and no "
        "greeting comes."
    ),
    FindingCode.STARTTLS_NOT_OFFERED: gettext_noop(
        "Seen when TLS is chosen, and the reply to EHLO does not list STARTTLS. There is no opportunistic "
        "mode."
    ),
    FindingCode.STARTTLS_REFUSED: gettext_noop("Seen when STARTTLS is answered otherwise than 220."),
    FindingCode.ENCRYPTION_REQUIRED: gettext_noop("Seen when MAIL is answered with a demand for STARTTLS."),
    FindingCode.CERTIFICATE_EXPIRED: gettext_noop(
        "Seen when the certificate, or one of its chain, is past its end. The page adds the date and who "
        "issued it."
    ),
    FindingCode.CERTIFICATE_NOT_YET_VALID: gettext_noop(
        "Seen when its validity begins later. The page adds the date."
    ),
    FindingCode.CERTIFICATE_WRONG_NAME: gettext_noop(
        "Seen when neither its names nor its addresses match “Server”. The page adds the names it is for."
    ),
    FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY: gettext_noop(
        "Seen when its chain ends at an authority that neither the system nor VAGUEMESTRE_EXTRA_ROOTS "
        "knows. The page adds the issuer and the names."
    ),
    FindingCode.CERTIFICATE_SELF_SIGNED: gettext_noop(
        "Seen when it is signed by itself. The page adds its SHA-256 fingerprint."
    ),
    FindingCode.CERTIFICATE_CHANGED: gettext_noop(
        "Seen when a fingerprint is pinned, and the server shows another. The page adds the new one."
    ),
    FindingCode.CERTIFICATE_INTERCEPTED: gettext_noop(
        "Seen when nobody vouches for the certificate, and its issuer is a product that opens encrypted "
        "exchanges (FortiGate, Zscaler, Avast, Kaspersky, ESET, Sophos, Palo Alto Networks, Bitdefender, "
        "Netskope, Cisco Umbrella and others), or the server is one of a well-known provider. The page "
        "adds product and issuer."
    ),
    FindingCode.CERTIFICATE_OTHER: gettext_noop(
        "Seen when the check fails for another reason, such as a weak key or a broken signature."
    ),
    FindingCode.TLS_FAILED: gettext_noop(
        "Seen when the handshake fails otherwise, for example without a cipher in common."
    ),
    FindingCode.TLS_TOO_OLD: gettext_noop("Seen when the server speaks nothing from TLS 1.2 on."),
    FindingCode.AUTH_NOT_OFFERED: gettext_noop(
        "Seen when there is a login, and the reply to EHLO (after TLS) lists no AUTH; or AUTH is answered "
        "500, 502 or 503."
    ),
    FindingCode.NO_MECHANISM: gettext_noop(
        "Seen when AUTH is announced without PLAIN and LOGIN, or is answered 504 or 534. The page adds "
        "what is offered."
    ),
    FindingCode.AUTH_REFUSED: gettext_noop(
        "Seen when AUTH is answered 5yz, mostly 535, and neither the reply nor the form of login and "
        "password tells more. It is tried once and never again in the same verification. For Google and "
        "Microsoft the remedy says what is usual there."
    ),
    FindingCode.LOGIN_WITHOUT_DOMAIN: gettext_noop(
        "Seen when AUTH is answered 535 and the login has no @. It comes first where the provider is known "
        "to want the whole address, and where the login is what stands before the @ of the sender; elsewhere "
        "it is a warning behind auth_refused, and none at providers whose logins are no addresses."
    ),
    FindingCode.PASSWORD_BLANK_EDGE: gettext_noop(
        "Seen when AUTH is answered 535 and the password begins or ends with a blank, of whatever kind. "
        "Only that is known of it."
    ),
    FindingCode.APP_PASSWORD_SPACES: gettext_noop(
        "Seen when AUTH is answered 535 and the password is four groups of four letters with a blank in "
        "between."
    ),
    FindingCode.AUTH_TEMPORARILY_UNAVAILABLE: gettext_noop("Seen when AUTH is answered 4yz, mostly 454."),
    FindingCode.MICROSOFT_PASSWORD_OFF: gettext_noop(
        "Seen when AUTH or MAIL is answered with 5.7.30, or AUTH with 5.7.139 and the words “basic "
        "authentication is disabled”."
    ),
    FindingCode.MICROSOFT_TENANT_OR_MAILBOX_OFF: gettext_noop(
        "Seen when AUTH is answered with 5.7.139 and “SmtpClientAuthentication is disabled” for the "
        "tenant or the mailbox, or with 5.7.139 for a reason that it does not name."
    ),
    FindingCode.MICROSOFT_SIGN_IN_POLICY: gettext_noop(
        "Seen when AUTH is answered with 5.7.139 and names the security defaults, conditional access, or "
        "criteria that were not met."
    ),
    FindingCode.GOOGLE_APP_PASSWORD: gettext_noop("Seen when AUTH is answered 534 with 5.7.9 or 5.7.14."),
    FindingCode.OAUTH2_TOKEN_REFUSED: gettext_noop(
        "Seen when AUTH with a token (XOAUTH2, OAUTHBEARER) is answered 535."
    ),
    FindingCode.OAUTH2_SCOPE_MISSING: gettext_noop(
        "Seen when the server’s reason for refusing a token is insufficient_scope or 403, or the scope is "
        "not in the token."
    ),
    FindingCode.OAUTH2_CONSENT_WITHDRAWN: gettext_noop(
        "Seen when the token endpoint refuses to renew the token (invalid_grant, interaction_required)."
    ),
    FindingCode.OAUTH2_NOT_CONNECTED: gettext_noop(
        "Seen when a connection by OAuth2 has no account, or a person’s account no refresh token. Nothing "
        "is dialled."
    ),
    FindingCode.OAUTH2_APPLICATION_REFUSED: gettext_noop(
        "Seen when the token endpoint answers with invalid_client, unauthorized_client or another error "
        "that is about the application. The mail server is not dialled."
    ),
    FindingCode.OAUTH2_TOKEN_UNAVAILABLE: gettext_noop(
        "Seen when the token endpoint cannot be reached, answers 5yz or 429, or with what is no answer of "
        "OAuth 2.0. A connection is throttled then, never locked."
    ),
    FindingCode.ACCOUNT_SUSPENDED: gettext_noop(
        "Seen when AUTH or MAIL is refused in such words: “bad outbound sender”, “account suspended”, "
        "“not yet activated”."
    ),
    FindingCode.AUTH_NEEDS_TLS: gettext_noop(
        "Seen when there is a login without encryption towards another machine (Vaguemestre refuses by "
        "itself), or the server answers 538."
    ),
    FindingCode.AUTHENTICATION_REQUIRED: gettext_noop(
        "Seen when MAIL is answered 530, 5.7.57 or in such words."
    ),
    FindingCode.SENDER_REFUSED: gettext_noop(
        "Seen when MAIL is answered 5yz: the connection may not use its own sender."
    ),
    FindingCode.SENDER_DOMAIN_UNKNOWN: gettext_noop(
        "Seen when MAIL is refused because DNS does not know the sender’s domain."
    ),
    FindingCode.SENDER_NEEDS_SMTPUTF8: gettext_noop(
        "Seen when the sender has a local part beyond ASCII, and SMTPUTF8 is not announced. An "
        "international domain alone needs nothing."
    ),
    FindingCode.SMTPUTF8_NOT_OFFERED: gettext_noop(
        "Seen when a recipient has a local part beyond ASCII, and SMTPUTF8 is not announced."
    ),
    FindingCode.MESSAGE_TOO_LARGE: gettext_noop(
        "Seen when the announced SIZE is smaller than the message, or the server answers 552 or 5.3.4."
    ),
    FindingCode.ADDRESS_NOT_LISTED: gettext_noop(
        "Seen when the server says that the client host or its address is not on its list. The page adds "
        "the address that the server saw, where it told, and leads to the page of source addresses."
    ),
    FindingCode.ADDRESS_ON_BLOCKLIST: gettext_noop(
        "Seen when a reply refuses the client host and names a blocklist. The page adds the address that "
        "the server saw."
    ),
    FindingCode.ADDRESS_WITHOUT_NAME: gettext_noop(
        "Seen when a reply refuses the client host for its reverse DNS (x.7.25, or in such words). The "
        "page adds the address that the server saw."
    ),
    FindingCode.RELAY_DENIED: gettext_noop("Seen when the server says that it does not relay."),
    FindingCode.TOO_MANY_CONNECTIONS: gettext_noop(
        "Seen when the server names a limit of parallel sessions (421 4.7.0 in such words)."
    ),
    FindingCode.MICROSOFT_TOO_MANY_CONNECTIONS: gettext_noop("Seen when the server answers 432 4.3.2."),
    FindingCode.RATE_LIMITED: gettext_noop(
        "Seen when the server names a rate or a quota of the account that is none of a day. Where it counts "
        "logins, the page says so, and to check the password first."
    ),
    FindingCode.DAILY_LIMIT: gettext_noop(
        "Seen when the limit is one of a day: 550 5.4.5, 5.1.90, 5.7.232, 5.7.233, 554 5.2.0, or in such "
        "words."
    ),
    FindingCode.SERVICE_CLOSING: gettext_noop("Seen when 421 comes after the greeting."),
    FindingCode.TEMPORARILY_REFUSED: gettext_noop("Seen with any other 4yz."),
    FindingCode.COMMAND_REFUSED: gettext_noop("Seen with any other 5yz."),
    FindingCode.CONNECTION_LOST: gettext_noop(
        "Seen when the connection is closed or reset before the answer that was due."
    ),
    FindingCode.PROTOCOL_BROKEN: gettext_noop(
        "Seen when an answer breaks RFC 5321 §4.2, or comes before it was due."
    ),
    FindingCode.OUT_OF_TIME: gettext_noop(
        "Seen when an answer is missing when the 14 s of the dialogue are used up. The steps show which."
    ),
    FindingCode.CERTIFICATE_EXPIRES_SOON: gettext_noop(
        "Seen when the certificate ends within 21 days, or within a third of its term if that is less."
    ),
    FindingCode.TRUSTED_INTERCEPTION: gettext_noop(
        "Seen when the certificate is trusted here, and its issuer is one of the products under "
        "certificate_intercepted: somebody gave this machine their authority."
    ),
    FindingCode.SMALL_SIZE_LIMIT: gettext_noop("Seen when the announced SIZE is below 10 MiB."),
    FindingCode.NO_EIGHT_BIT: gettext_noop("Seen when 8BITMIME is not announced."),
    FindingCode.NO_SMTPUTF8: gettext_noop("Seen when the reply to EHLO does not list SMTPUTF8 (RFC 6531)."),
    FindingCode.FAMILY_SILENT: gettext_noop(
        "Seen when the server has addresses of both families, and one refuses the dial or does not answer "
        "within two seconds. A machine without any IPv6 is no finding."
    ),
    FindingCode.RECIPIENT_REFUSED: gettext_noop(
        "Seen when the reader’s own address was asked for, and RCPT is answered 4yz or 5yz about it alone."
    ),
    FindingCode.NO_CREDENTIALS_BUT_OFFERED: gettext_noop(
        "Seen when AUTH is announced, and there is no login."
    ),
}
