"""What /proc tells of running processes."""

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
    running = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    parents = {each: parent_of(each) for each in running}
    below, found = {pid}, {}
    while True:
        more = {child for child, parent in parents.items() if parent in below} - below
        if not more:
            return found
        below |= more
        found |= {child: words_of(child) for child in more}


def words_of(pid):
    """A process's command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []
