"""What /proc tells of running processes."""

from contextlib import suppress
from pathlib import Path


def parent_of(pid):
    """The parent's process id; None if the process is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[1])


def descendants(pid):
    """Every process below `pid` that runs, by process id: its command line's words."""
    below = {}
    for child in children_of(pid):
        below |= {child: words_of(child)} | descendants(child)
    return below


def children_of(pid):
    """The process ids of its children, of whichever thread; none if it is gone."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, path.read_text().split())
    return [child for child in found if parent_of(child) is not None]


def words_of(pid):
    """A process's command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []
