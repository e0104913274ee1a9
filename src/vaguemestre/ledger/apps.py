"""The Django app that owns the schema."""

from __future__ import annotations

from django.apps import AppConfig
from django.db import connection
from django.db.backends.signals import connection_created

from vaguemestre.ledger.database import steadied
from vaguemestre.ledger.sqlite.configuration import configure


class LedgerConfig(AppConfig):
    """The durable record of connections, messages and what became of them."""

    name = "vaguemestre.ledger"
    label = "ledger"

    def ready(self) -> None:
        """Before anything is asked of a database."""
        if connection.vendor == "sqlite":
            configure()
        else:
            connection_created.connect(steadied)
