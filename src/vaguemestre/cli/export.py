"""`vaguemestre export`: the whole configuration as one document."""

from __future__ import annotations

from vaguemestre.cli.transfer import declare_export as declare

__all__ = ["declare"]
