"""The token of a page with a form: signed, with the time when it was fetched, good for one submission.

A program posts at once, or posts what it fetched last week; a person takes some seconds and comes back the
same day. A page of somebody else's site stands still and has none: then the limits of an address are tighter,
unless the form wants a token of everybody (it is to be had at `/f/{key}/token`, or with our own page).
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from django.core.signing import BadSignature, Signer

from vaguemestre.mail.errors import Invalid

SOONEST, LATEST = timedelta(seconds=2), timedelta(hours=24)
FIELD = "_token"


def make(key: str, now: datetime) -> str:
    """A token for a page of that form, fetched now."""
    return _signer(key).sign(f"{secrets.token_urlsafe(12)}:{int(now.timestamp())}")


def nonce_of(token: str, key: str, now: datetime) -> str:
    """What tells the page from all others.

    Raises:
        Invalid: it is none of ours (`form_token`), too fresh (`form_fast`), or too old (`form_old`).
    """
    try:
        nonce, _, fetched = _signer(key).unsign(token).partition(":")
        age = now - datetime.fromtimestamp(int(fetched), UTC)
    except (BadSignature, ValueError, OverflowError):
        raise Invalid(FIELD, "form_token", "The page is not ours; open the form anew.") from None
    if age < SOONEST:
        raise Invalid(FIELD, "form_fast", "That was very quick; look it over and send it once more.")
    if age > LATEST:
        raise Invalid(FIELD, "form_old", "The page is of another day; send it once more.")
    return nonce


def _signer(key: str) -> Signer:
    return Signer(sep=".", salt=f"vaguemestre.form.{key}")
