"""The product as its users have it: an environment without what only tests and checks need.

Those bring `rich`, for one, which structlog loads where it finds it: 5 MiB in every process of ours.
"""

import os
import shutil
import sys

from bench.child import ROOT
from bench.peers.peer import BUILD, Missing, fetch

HOME = BUILD / "installed"
COMMAND = HOME / "bin" / "vaguemestre"
LOCKS = (ROOT / "requirements.lock", ROOT / "tools" / "build.lock")
STAMP = HOME / "installed"


def made_ready():
    """As `tools/bootstrap run` does it, from this checkout.

    Raises:
        Missing: it failed.
    """
    wanted = "".join(lock.read_text() for lock in LOCKS)
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    os.environ.setdefault("UV_CACHE_DIR", str(ROOT / ".bootstrap" / "cache"))
    _uv("venv", "--clear", "--python", sys.executable, HOME)
    for lock in LOCKS:
        _install("--compile-bytecode", "--require-hashes", "-r", lock)
    _install("--no-build-isolation", "--no-deps", "-e", ROOT)
    STAMP.write_text(wanted)


def _install(*words):
    _uv("pip", "install", "--python", HOME / "bin" / "python", *words)


def _uv(*words):
    fetched = ROOT / ".bootstrap" / "uv" / "bin" / "uv"
    program = fetched if fetched.exists() else shutil.which("uv")
    if program is None:
        raise Missing("The installed product", "there is no uv. Run tools/bootstrap dev")
    fetch("The installed product", program, "--quiet", "--no-config", *words, folder=ROOT)
