"""Loads Django for a command."""

from __future__ import annotations

import logging
import os

import django
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation

from vaguemestre.cli import logs
from vaguemestre.cli.failure import Failed
from vaguemestre.environment import Environment


def load_django(environment: Environment, level: int = logging.INFO) -> None:
    """Settings, apps and logs from `level` on; what the ledger words for people is English here.

    A variable with a fault counts as unset, so that `check` can go on to the rest. A fault of `vault.key` or
    another file ends it there, with what is known by then.
    """
    for problem in environment.problems:
        os.environ[problem.field] = ""
    os.environ["DJANGO_SETTINGS_MODULE"] = "vaguemestre.settings"  # whatever another project left there
    logs.configure(level)
    try:
        django.setup()
    except ImproperlyConfigured:
        if not environment.problems:
            raise
        raise Failed(*map(str, environment.problems)) from None
    translation.activate("en")
