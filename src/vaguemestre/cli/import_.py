"""`vaguemestre import`: takes in a document that `export` made."""

from __future__ import annotations

from vaguemestre.cli.transfer import declare_import as declare

__all__ = ["declare"]
