"""The Django app that owns the schema."""

from __future__ import annotations

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """The durable record of connections, messages and what became of them."""

    name = "vaguemestre.ledger"
    label = "ledger"
