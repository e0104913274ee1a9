"""What the figures were measured on."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bench.child import ROOT


def described():
    """As JSON takes it."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processors": os.cpu_count(),
        "processor": _first(r"^model name\s*:\s*(.+)$", "/proc/cpuinfo"),
        "memory_gib": round(int(_first(r"^MemTotal:\s*(\d+) kB$", "/proc/meminfo")) / 1024**2, 1),
        "system": _first(r'^PRETTY_NAME="(.+)"$', "/etc/os-release"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def _first(pattern, path):
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found[1] if found else ""


def _commit():
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
