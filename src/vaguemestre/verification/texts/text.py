"""The text of a finding: three message ids."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """Message ids in English, with the finding's facts as `%(name)s`.

    Attributes:
        what: is the matter, in one line.
        why: what that means, for somebody who runs no server.
        remedy: what to do, and where; "" if nothing is.
    """

    what: str
    why: str
    remedy: str
