"""What is wrong with an account of OAuth 2.0 as typed, by code. English texts are message ids."""

from __future__ import annotations

from django.utils.translation import gettext_noop

OAUTH2_REFUSALS = {
    "oauth2_provider": gettext_noop("Choose Microsoft, Google or another provider."),
    "oauth2_grant": gettext_noop("Choose how tokens are asked for."),
    "oauth2_id": gettext_noop("This is copied without blanks, as the provider shows it."),
    "oauth2_id_missing": gettext_noop("Copy it from the provider’s page of the application."),
    "oauth2_tenant": gettext_noop(
        "Give the directory (tenant) ID that Microsoft Entra shows, or your domain."
    ),
    "oauth2_scope": gettext_noop("A scope is words separated by one blank."),
    "oauth2_endpoint_in_clear": gettext_noop(
        "A secret is never sent unencrypted: give an address that begins with https."
    ),
    "oauth2_key": gettext_noop(
        "Give the whole JSON file of the service account’s key, as Google hands it out."
    ),
    "oauth2_secret_again": gettext_noop(
        "The server, the login or the account changed: give this secret again, or forget the stored one and"
        " set up OAuth2 anew."
    ),
    "oauth2_consent_again": gettext_noop(
        "The server, the login or the account changed: forget the consent so far, and connect again."
    ),
    "oauth2_secret_missing": gettext_noop("Without it no token is given."),
    "oauth2_contradicts": gettext_noop(
        "There is an account of OAuth2, but another kind of authentication: leave out one of them."
    ),
    "oauth2_no_password": gettext_noop("With OAuth2 there is no password: leave it empty."),
    "oauth2_login_missing": gettext_noop("OAuth2 needs the address of the mailbox as login."),
    "oauth2_save_first": gettext_noop("Save this first, then verify it: a trial could use the consent up."),
    "oauth2_unreadable": gettext_noop("The stored secret cannot be read any more: set up OAuth2 again."),
    "url_syntax": gettext_noop("Give a web address, such as https://login.example.org/token."),
}
