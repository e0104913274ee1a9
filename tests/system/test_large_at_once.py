"""Fifty submitters of 25 MiB each at the same time: all are taken as they are, and memory hardly grows."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from cluster import migrated
from cluster.migrated import COMMAND, without_foreign
from scripted.ports import free_port
from submission.door import eventually
from submission.test_process import dial

CLIENTS = 50
SIZE = 26_214_400  # octets, the largest that is taken
LINES = SIZE // 64
BOUND = 128 * 1_024  # KiB that the listener may have been resident with, of 1,250 MiB that came


@contextmanager
def listener(home):
    """`vaguemestre submission` on a database of its own: its process, port, a key, and the database's file."""
    made = migrated.opened_on_sqlite()
    shutil.copytree(made.data, home / "data")
    port = free_port()
    environment = without_foreign(os.environ) | {
        "VAGUEMESTRE_DATA_DIR": str(home / "data"),
        "VAGUEMESTRE_SUBMISSION_BIND": f"127.0.0.1:{port}",
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([COMMAND, "submission"], env=environment, stdout=log, stderr=log)
    try:
        assert eventually(lambda: b"submission_listening" in (home / "log").read_bytes(), 60)
        yield process, port, made.key, home / "data" / "vaguemestre.sqlite3"
    finally:
        process.terminate()
        process.wait(30)


def content(client):
    """Blocks of a message that no other client has, of lines that no other place has."""
    head = b"".join(
        b"%s: %s\r\n" % (name, b"x" * (60 - len(name))) for name in (b"Subject", b"X-One", b"X-Two")
    )
    yield head + b"X-Three: %02d%s\r\n" % (client, b"x" * 49) + b"\r\n"
    for first in range(4, LINES, 1_024):
        numbers = range(first, min(first + 1_024, LINES))
        yield b"".join(b"%02d %07d %s\r\n" % (client, number, b"y" * 51) for number in numbers)


def submit(port, key, client, answers, ready):
    """Every other one by BDAT; all begin together."""
    digest, line = hashlib.sha256(), dial(port)
    assert line.sign_in(key, f"client{client}") == 235
    assert line.ask(f"MAIL FROM:<app{client}@example.org>")[0] == 250
    assert line.ask("RCPT TO:<to@example.net>")[0] == 250
    ready.wait()
    line.plug.settimeout(900)
    by_chunks = client % 2
    if not by_chunks:
        assert line.ask("DATA")[0] == 354
    size = 0
    for block in content(client):
        digest.update(block)
        size += len(block)
        line.write(b"BDAT %d\r\n" % len(block) + block if by_chunks else block)
        if by_chunks:
            assert line.reply()[0] == 250
    line.write(b"BDAT 0 LAST\r\n" if by_chunks else b".\r\n")
    answers[client] = (*line.reply(), size, digest.hexdigest())
    line.close()


def resident(process, what):
    """KiB, of VmRSS or VmHWM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0])


def kept(file, uid):
    """Size and digest of a message as it is in the ledger."""
    digest, size = hashlib.sha256(), 0
    with closing(sqlite3.connect(file)) as base:
        chunks = base.execute(
            "SELECT data FROM ledger_chunk WHERE message_id = (SELECT id FROM ledger_message WHERE uid = ?)"
            " ORDER BY position",
            (UUID(uid).hex,),
        )
        for (data,) in chunks:
            digest.update(data)
            size += len(data)
    return size, digest.hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_of_25_mebibytes_at_once_are_taken_as_they_are_in_little_memory(tmp_path):
    answers, ready = {}, threading.Barrier(CLIENTS)
    with listener(tmp_path) as (process, port, key, file):
        at_rest = resident(process, "VmRSS")
        clients = [
            threading.Thread(target=submit, args=(port, key, client, answers, ready), daemon=True)
            for client in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        most = resident(process, "VmHWM")
        print({"KiB at rest": at_rest, "KiB at most": most})  # noqa: T201  shown with -rP, as by `make soak`
        assert {(code, size) for code, _, size, _ in answers.values()} == {(250, SIZE)}
        assert len(answers) == CLIENTS
        for _, text, size, digest in answers.values():
            assert kept(file, text.rpartition(" ")[2]) == (size, digest)
    assert most < BOUND
