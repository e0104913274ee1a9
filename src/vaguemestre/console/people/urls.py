"""The pages of allauth that are open here: signing in and out, and one's own password.

Sign-up is closed, and nothing is mailed yet: a forgotten password is set anew by the operator.
"""

from __future__ import annotations

from allauth.account import views as account
from django.urls import path

from vaguemestre.console.people import views

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("signup/", account.signup, name="account_signup"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/forgotten/", views.forgotten, name="account_reset_password"),
]
