"""Findings about login and password. What, why and remedy of each."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.text import Text

SIGNING_IN = {
    FindingCode.AUTH_NOT_OFFERED: Text(
        gettext_noop("%(host)s takes no login on port %(port)s"),
        gettext_noop("A login is filled in, but the server has no way to check one here."),
        gettext_noop(
            "Try port 587 with TLS, or 465 with SSL: logins are usually taken there. If your server knows "
            "senders by their address instead, empty “SMTP login” and “SMTP password”, and give its "
            "administrator the list of the page “Source IP addresses (whitelist)”."
        ),
    ),
    FindingCode.NO_MECHANISM: Text(
        gettext_noop("%(host)s and Vaguemestre sign in differently"),
        gettext_noop(
            "The server takes logins, but only in ways that Vaguemestre does not use; it uses PLAIN and "
            "LOGIN, with a password."
        ),
        gettext_noop(
            "Ask your provider how an application signs in with a password. Some allow it only after a "
            "setting in the account, or with a password made for applications."
        ),
    ),
    FindingCode.AUTH_REFUSED: Text(
        gettext_noop("%(host)s refuses the login or the password"),
        gettext_noop(
            "The server was reached and all is well up to there, but it does not know “%(login)s” with this"
            " password."
        ),
        gettext_noop(
            "Type both again, without a blank before or after. Many providers want the complete email "
            "address as login; some want a password made for applications, found in the account’s security "
            "settings."
        ),
    ),
    FindingCode.AUTH_TEMPORARILY_UNAVAILABLE: Text(
        gettext_noop("%(host)s cannot check the login just now"),
        gettext_noop(
            "The server says that its own check is out of order for the moment. Your login and password may"
            " well be right."
        ),
        gettext_noop(
            "Leave the password as it is and verify again in a few minutes. If it lasts, tell your provider."
        ),
    ),
    FindingCode.MICROSOFT_PASSWORD_OFF: Text(
        gettext_noop("Microsoft does not take a password for this mailbox"),
        gettext_noop(
            "Signing in with a password (“authenticated SMTP”) is switched off for this mailbox or for your"
            " whole organisation. Login and password may be right all the same."
        ),
        gettext_noop(
            "Ask your Microsoft 365 administrator to tick “Authenticated SMTP” for this mailbox: admin "
            "center, Active users, the user, Mail, Manage email apps. The “security defaults” block it as "
            "well. Microsoft is retiring passwords for sending: plan for OAuth2."
        ),
    ),
    FindingCode.GOOGLE_APP_PASSWORD: Text(
        gettext_noop("Google wants an app password here"),
        gettext_noop(
            "The usual password of %(login)s is for people; for a program Google asks for one of its own."
        ),
        gettext_noop(
            "Turn on 2-Step Verification for the account, create an app password at "
            "https://myaccount.google.com/apppasswords and paste it under “SMTP password”. If that page is "
            "closed to you, ask your Google Workspace administrator."
        ),
    ),
    FindingCode.AUTH_NEEDS_TLS: Text(
        gettext_noop("A password may only travel encrypted"),
        gettext_noop(
            "“%(chosen)s” is chosen under “Encryption”: anybody on the way to %(host)s could read the "
            "password."
        ),
        gettext_noop("Choose TLS with port 587, or SSL with port 465."),
    ),
    FindingCode.AUTHENTICATION_REQUIRED: Text(
        gettext_noop("%(host)s wants a login"),
        gettext_noop("It takes no mail from somebody who has not signed in."),
        gettext_noop(
            "Fill in “SMTP login” and “SMTP password” as your provider gave them to you. If you were given "
            "none, the server should know our addresses: give its administrator the list of the page "
            "“Source IP addresses (whitelist)”."
        ),
    ),
}
