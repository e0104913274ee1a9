"""Django's settings, made from the checked environment (`vaguemestre.environment`).

The command line checks the environment before Django loads, so that a mistake is one sentence; here a
mistake is an `ImproperlyConfigured` that lists all of them.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

from vaguemestre.environment import read_environment

ENVIRONMENT = read_environment(os.environ)
if ENVIRONMENT.problems:
    raise ImproperlyConfigured("\n".join(str(problem) for problem in ENVIRONMENT.problems))

PACKAGE = Path(__file__).parent

# Commands that need no signature (`check`, `--help`) run before a key exists; `up` creates it first.
SECRET_KEY = ENVIRONMENT.secret_key.reveal() if ENVIRONMENT.secret_key else secrets.token_urlsafe(48)
DEBUG = False
_public = urlsplit(ENVIRONMENT.base_url)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", _public.hostname or "localhost"]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]

INSTALLED_APPS = [
    "vaguemestre.ledger",
    "vaguemestre.console",
    "vaguemestre.doors.forms",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "allauth",
    "allauth.account",
]
MIDDLEWARE = [
    "vaguemestre.doors.visitor.Visitor",
    "vaguemestre.doors.api.direct.Direct",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "vaguemestre.console.access.SignedIn",
    "vaguemestre.console.language.ReaderLanguage",
    "django.contrib.messages.middleware.MessageMiddleware",
    "vaguemestre.console.vault.ShutVault",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "vaguemestre.urls"
WSGI_APPLICATION = "vaguemestre.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "vaguemestre.console.attention.attention",
            ]
        },
    }
]

_named = dj_database_url.parse(ENVIRONMENT.database_url.reveal())
_database = dict(_named)
if ENVIRONMENT.on_sqlite:
    _database |= {
        "ENGINE": "vaguemestre.ledger.sqlite",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            # The log grows while somebody reads one state of all, as a backup does; then it is cut again.
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                " PRAGMA journal_size_limit=67108864;"
            ),
        },
    }
else:
    # A server that is gone without a word is missed within seconds; the system alone would wait for minutes.
    _noticing = {
        "connect_timeout": 10,
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    _database |= {"CONN_HEALTH_CHECKS": True, "OPTIONS": _noticing | _named.get("OPTIONS", {})}
# Kept open: opening one costs more than a transaction on it. `close_old_connections` drops broken ones.
_database["CONN_MAX_AGE"] = None
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "ledger.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # who comes in was invited at their address, or made on the machine
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
PASSWORD_RESET_TIMEOUT = 24 * 3600
ACCOUNT_ADAPTER = "vaguemestre.console.access.ClosedSignup"
ACCOUNT_FORMS = {"reset_password": "vaguemestre.console.people.forgotten.Forgotten"}
ACCOUNT_RATE_LIMITS = {
    "login": None,  # `console.people.guesses`, which does not keep people out of their own browser
    "reset_password": "10/m/ip,3/h/key",  # each is a mail to somebody who may not have asked for it
}
# Throttles of login are counted in the database, so that they hold for every web process.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        # Beyond it the first third is forgotten: who guesses must not be able to bring that about.
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
LOGIN_URL = "account_login"
CSRF_FAILURE_VIEW = "vaguemestre.console.kept.csrf_failed"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL

LANGUAGE_CODE = ENVIRONMENT.language
LANGUAGES = [("fr", _("French")), ("en", _("English")), ("it", _("Italian"))]
LOCALE_PATHS = [PACKAGE / "console" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from the package; nothing is collected
WHITENOISE_MAX_AGE = 60  # names carry no hash: an upgrade must show at once
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-src": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
_secure = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 14 * 24 * 3600
# A reverse proxy in front terminates TLS when the public address is https.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _secure else None

DATA_UPLOAD_MAX_MEMORY_SIZE = ENVIRONMENT.max_message_bytes * 2  # base64 and JSON around the bytes
SILENCED_SYSTEM_CHECKS: list[str] = []
LOGGING_CONFIG = None  # structlog, set up by the command line
