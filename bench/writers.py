"""How long writers of one SQLite database wait for each other's commits, with the file lock and without.

    .venv/bin/python bench/writers.py [processes] [seconds]

Each process commits small, fsynced transactions as fast as it can; in one process more, statements that write
outside a transaction, 20 a second at most. Figures are milliseconds.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from itertools import chain

SETTINGS = """
from django.conf import settings
settings.configure(DATABASES={"default": {
    "ENGINE": sys.argv[1], "NAME": sys.argv[2], "OPTIONS": {
        "timeout": 20, "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"}}}, USE_TZ=True)
import django
django.setup()
from django.db import connection, transaction
"""
WRITER = f"""
import sys, time
{SETTINGS}
took = []
end = time.monotonic() + float(sys.argv[3])
while (start := time.monotonic()) < end:
    with transaction.atomic(), connection.cursor() as cursor:
        for _ in range(8):
            cursor.execute("INSERT INTO t (x) VALUES (%s)", ["x" * 200])
    took.append(time.monotonic() - start)
print(*took)
"""
OUTSIDER = f"""
import sys, time
{SETTINGS}
took = []
end = time.monotonic() + float(sys.argv[3])
while (start := time.monotonic()) < end:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE t SET x = %s WHERE id = 1", [str(start)])
    took.append(time.monotonic() - start)
    time.sleep(0.05)
print(*took)
"""


def run(engine, processes, seconds, outsider):
    """The waits of all writers, and of the outsider."""
    with tempfile.TemporaryDirectory() as home:
        path = f"{home}/{secrets.token_hex(4)}.sqlite3"
        table = "connection.cursor().execute('CREATE TABLE t (id INTEGER PRIMARY KEY, x)')"
        prepare = f"import sys\n{SETTINGS}\n{table}"
        subprocess.run([sys.executable, "-c", prepare, engine, path], check=True)
        programs = [WRITER] * processes + [OUTSIDER] * outsider
        started = [
            subprocess.Popen(
                [sys.executable, "-c", program, engine, path, seconds], stdout=subprocess.PIPE, text=True
            )
            for program in programs
        ]
        outputs = [[float(took) for took in process.communicate()[0].split()] for process in started]
    return [*chain(*outputs[:processes])], [*chain(*outputs[processes:])]


def line(took, seconds):
    """Commits a second and how they waited."""
    ordered = sorted(took)
    parts = {"median": 0.5, "p99": 0.99, "p99.9": 0.999}
    shown = " ".join(
        f"{name} {ordered[int(len(ordered) * part)] * 1000:7.1f}" for name, part in parts.items()
    )
    return f"{len(took) / float(seconds):7.0f}/s {shown} worst {ordered[-1] * 1000:7.1f}"


def main():
    """Print the table."""
    processes, seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4, (sys.argv[2:] or ["5"])[0]
    print(f"{processes} writers, {seconds} s, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    for name, engine in (
        ("with the lock", "vaguemestre.ledger.sqlite"),
        ("without", "django.db.backends.sqlite3"),
    ):
        took, outside = run(engine, processes, seconds, 1)
        print(f"{name:14} {line(took, seconds)}")
        print(f"{'  a statement':14} {line(outside, seconds)}")


if __name__ == "__main__":
    main()
