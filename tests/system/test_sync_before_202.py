"""What the kernel saw: the sync of the database before the 202 (L5)."""

import re
import shutil
import subprocess
import time

import pytest

from system.product import Product, until
from system.test_killing_the_web import worker_below

CALLS = "fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg"
MESSAGE = {"to": ["zoe@example.org"], "subject": "Synced", "text": "Good day"}
LARGE = MESSAGE | {"text": "Good day. " * 40_000}


@pytest.fixture(scope="module")
def product():
    with Product() as product:
        yield product


def watched(pid, path, act):
    """The calls that a process made while something was done, line by line."""
    watcher = subprocess.Popen(
        [shutil.which("strace"), "-f", "-y", "-s", "80", "-e", f"trace={CALLS}", "-o", path, "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert "attached" in watcher.stderr.readline()
        time.sleep(0.3)
        act()
        time.sleep(0.3)
    finally:
        watcher.terminate()
        watcher.communicate(timeout=10)
    return path.read_text(errors="replace").splitlines()


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("at", "body", "headers"),
    [
        ("messages", MESSAGE, {}),
        ("messages", LARGE, {}),
        ("messages", MESSAGE, {"Idempotency-Key": "synced"}),
        ("messages/batch", {"messages": [MESSAGE] * 3}, {}),
    ],
    ids=["one", "large", "idempotent", "batch"],
)
def test_the_database_is_synced_before_202(product, tmp_path, at, body, headers):
    worker = until(lambda: worker_below(product.child("web")), what="a worker")
    product.api.get("/messages")  # the key's last use is written down now

    def post():
        assert product.api.ask("POST", f"/api/v1/{at}", body, **headers).status == 202

    calls = watched(worker, tmp_path / "calls", post)
    told = next(number for number, call in enumerate(calls) if "HTTP/1.1 202" in call)
    log = [call for call in calls[:told] if "-wal" in call]
    assert any("write" in call for call in log), calls
    assert re.search(r"f(data)?sync\(", log[-1]), calls
