"""How transactions are written to a server: in windows, in groups, or one command at a time.

The ladder of RFC 3030 with RFC 2920, RFC 2920 alone, and RFC 5321 as it always works. A manner is never used
where the server does not announce what it needs.
"""

from __future__ import annotations

from enum import StrEnum


class Manner(StrEnum):
    """From the fastest down."""

    BDAT = "bdat"  # whole transactions in one write, several in flight: PIPELINING and CHUNKING
    DATA = "data"  # MAIL, RCPT and DATA in one write, the next behind the end of data: PIPELINING
    SINGLE = "single"  # one command, one reply

    @property
    def below(self) -> Manner:
        """The next step down; the last stays."""
        return {Manner.BDAT: Manner.DATA}.get(self, Manner.SINGLE)
