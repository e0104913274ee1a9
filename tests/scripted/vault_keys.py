"""Another vault key than the one the database was made with, or none."""

import base64
import dataclasses

from django.conf import settings

from vaguemestre.mail.secret import Secret

FOREIGN = b"f" * 32
LOST = {"none": (), "another": (FOREIGN,)}


def use_keys(monkeypatch, *keys):
    """Run with these vault keys."""
    encoded = tuple(Secret(base64.b64encode(key).decode()) for key in keys)
    changed = dataclasses.replace(settings.ENVIRONMENT, vault_keys=encoded)
    monkeypatch.setattr(settings, "ENVIRONMENT", changed)
