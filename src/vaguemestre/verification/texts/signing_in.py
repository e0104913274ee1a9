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
            "The server takes logins, but not with a password in one of the two usual ways, PLAIN and LOGIN."
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
    FindingCode.LOGIN_WITHOUT_DOMAIN: Text(
        gettext_noop("The login “%(login)s” is not a complete address"),
        gettext_noop("The server refused it, and most providers want the whole address as login."),
        gettext_noop(
            "Try %(sender)s under “SMTP login”, if that is the account. If it is refused as well, type the "
            "password again."
        ),
    ),
    FindingCode.PASSWORD_BLANK_EDGE: Text(
        gettext_noop("The password begins or ends with a blank"),
        gettext_noop(
            "%(host)s refuses the login or the password. A password that was copied often brings a blank or "
            "a line break along, which nobody sees."
        ),
        gettext_noop(
            "Empty “SMTP password” and type it, or copy it again without what stands before and after it. "
            "Then verify again."
        ),
    ),
    FindingCode.APP_PASSWORD_SPACES: Text(
        gettext_noop("The app password was typed with its spaces"),
        gettext_noop(
            "%(host)s refuses the login or the password. Four groups of four letters are an app password as "
            "its page shows it: the spaces are there for reading only."
        ),
        gettext_noop("Type the sixteen letters under “SMTP password” without any space, and verify again."),
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
        gettext_noop("Microsoft takes no password for sending any more"),
        gettext_noop(
            "Your organisation has switched off signing in with a password (“basic authentication”), or "
            "Microsoft did. Login and password may be right all the same: no other password will help."
        ),
        gettext_noop(
            "Switch this connection to OAuth2, which takes your administrator’s consent once. Until "
            "Microsoft ends it for good, an administrator of Exchange Online can allow passwords again."
        ),
    ),
    FindingCode.MICROSOFT_TENANT_OR_MAILBOX_OFF: Text(
        gettext_noop("Microsoft 365 lets no application send from this mailbox"),
        gettext_noop(
            "“Authenticated SMTP” is switched off for this mailbox or for your whole organisation. Login and "
            "password may be right all the same."
        ),
        gettext_noop(
            "Ask your Microsoft 365 administrator to tick “Authenticated SMTP” for this mailbox: admin "
            "center, Active users, the user, Mail, Manage email apps. It takes up to an hour to count. "
            "Microsoft is retiring passwords for sending: plan for OAuth2."
        ),
    ),
    FindingCode.MICROSOFT_SIGN_IN_POLICY: Text(
        gettext_noop("A rule of your organisation at Microsoft blocks this sign-in"),
        gettext_noop(
            "The “security defaults” or a rule for “conditional access” forbid programs that sign in with a "
            "password alone. Login and password may be right all the same."
        ),
        gettext_noop(
            "Ask your Microsoft 365 administrator: Entra admin center, Sign-in logs, says which rule it was. "
            "Better than an exception is OAuth2 for this connection."
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
    FindingCode.OAUTH2_TOKEN_REFUSED: Text(
        gettext_noop("%(host)s does not accept the token (OAuth2)"),
        gettext_noop(
            "The token was issued, and the mail server will not have it: it is for another mailbox or "
            "organisation, or that mailbox may not send this way."
        ),
        gettext_noop(
            "Check that “SMTP login” is the address of the mailbox that the consent was given for, and that "
            "its administrator allows sending by applications. Then connect again."
        ),
    ),
    FindingCode.OAUTH2_SCOPE_MISSING: Text(
        gettext_noop("The token does not allow sending mail (OAuth2)"),
        gettext_noop(
            "Whoever gave the consent gave it for something else, or the application was registered without "
            "the permission to send by SMTP."
        ),
        gettext_noop(
            "Add the permission to the registered application: SMTP.SendAsApp or SMTP.Send at Microsoft, "
            "https://mail.google.com/ at Google. Then connect again, so that the consent covers it."
        ),
    ),
    FindingCode.OAUTH2_CONSENT_WITHDRAWN: Text(
        gettext_noop("The consent for this connection is no longer valid (OAuth2)"),
        gettext_noop(
            "The provider issues no new token: the consent was withdrawn or has run out, or the account’s "
            "password was changed."
        ),
        gettext_noop(
            "Connect again on the connection’s page and give the consent once more, as the person whose "
            "mailbox it is or as an administrator."
        ),
    ),
    FindingCode.ACCOUNT_SUSPENDED: Text(
        gettext_noop("The account at %(host)s may not send at the moment"),
        gettext_noop(
            "The provider has closed it for sending, or not opened it yet: after unusual mail from it, an "
            "unpaid bill, or before a new account is checked."
        ),
        gettext_noop(
            "Look at the provider’s console for a message, or ask its support to open the account. If mail "
            "was sent that you do not know, change the password first."
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

# In place of the above where the connection signs in with a token.
TAKES_NO_TOKEN = Text(
    gettext_noop("%(host)s takes no token (OAuth2)"),
    gettext_noop("This connection signs in with OAuth2, and the server knows no such way on this port."),
    gettext_noop(
        "Check “Server” and “Port” with your provider. If you were given a password, choose it in place of "
        "OAuth2 on this page."
    ),
)
# In place of `rate_limited` where logins are what the server counts: no figure under “Limits” helps there.
TOO_MANY_LOGINS = Text(
    gettext_noop("%(host)s takes no more logins for now"),
    gettext_noop(
        "It counted too many in a short time, most often with a wrong password, and does not listen for a "
        "while."
    ),
    gettext_noop(
        "Check login and password first, then wait half an hour before you verify again: each try in between "
        "may begin it anew."
    ),
)
