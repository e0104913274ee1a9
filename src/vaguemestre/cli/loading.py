"""Loads Django for a command, or for all that are going to be forked from this process."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_resolver
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
    logs.configure(level)
    try:
        _set_up()
    except ImproperlyConfigured:
        if not environment.problems:
            raise
        raise Failed(*map(str, environment.problems)) from None


def load_for_children(modules: Iterable[str]) -> None:
    """These modules and every page, once, so that they are in memory once.

    A page of memory is shared until somebody writes on it. So nothing that is freed on the way leaves gaps in
    between, which a child would fill; and no child's collection of garbage looks through what is here.
    """
    gc.disable()
    _set_up()
    for module in modules:
        importlib.import_module(module)
    get_resolver().check()
    gc.freeze()
    gc.enable()


def _set_up() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "vaguemestre.settings"  # whatever another project left there
    django.setup()
    _load_signals_of_tests()
    translation.activate("en")


def _load_signals_of_tests() -> None:
    """The module that ninja asks for one signal, by itself: its package loads unittest, 2.4 MiB."""
    name = "django.test.signals"
    found = spec_from_file_location(name, Path(django.__file__).with_name("test") / "signals.py")
    if name in sys.modules or found is None or found.loader is None:
        return
    sys.modules[name] = module_from_spec(found)
    found.loader.exec_module(sys.modules[name])
