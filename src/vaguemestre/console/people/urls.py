"""The pages of allauth that are open here: signing in and out, and one's own password.

Sign-up is closed. A forgotten password is answered with a link by mail (`ledger.passwords`); where mail is
out of order, the operator sets one on the machine.
"""

from __future__ import annotations

from allauth.account import views as account
from django.urls import path, re_path

from vaguemestre.console.people.forgotten import Chosen

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("signup/", account.signup, name="account_signup"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/forgotten/", account.password_reset, name="account_reset_password"),
    path("password/forgotten/sent/", account.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/choose/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        Chosen.as_view(),
        name="account_reset_password_from_key",
    ),
    path(
        "password/chosen/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"
    ),
]
