"""`make demo`: everything, with a capturing SMTP server and sample data, all of it in build/demo.

The server takes every message and sends none on; it refuses recipients whose name begins with `refused` and
puts off those that begin with `later`. Arguments go to it, so that it misbehaves further: see its --help.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

HOME = Path("build/demo")
COMMAND = str(Path(sys.executable).with_name("vaguemestre"))
PORT = "2526"
PERSON = "demo@example.test"
SINK = [
    *(
        sys.executable,
        "-m",
        "scripted.sink",
        "--port",
        PORT,
        "--log",
        str(HOME.absolute() / "captured.jsonl"),
    ),
    *("--rcpt-reply", "refused*=550 5.1.1 nobody of that name here"),
    *("--rcpt-reply", "later*=451 4.7.1 come back in a minute"),
]
MESSAGES = (
    ("zoe@example.test", "Facture 4711", "invoices"),
    ("refused@example.test", "Rapport mensuel", "reports"),
    ("later@example.test", "Votre demande", "form-replies"),
)


def variables() -> dict[str, str]:
    """The environment of the demonstration; the rest of it is in the data directory."""
    return os.environ | {"VAGUEMESTRE_DATA_DIR": str(HOME)}


def let_dial(home: Path) -> None:
    """Allow the capturing server where every command reads it: those of another terminal dial it too.

    The first time: what somebody adds there stays.
    """
    if (home / ".env").exists():
        return
    lines = ("VAGUEMESTRE_EGRESS_ALLOW=127.0.0.0/8", f"VAGUEMESTRE_EGRESS_PORTS={PORT}")
    (home / ".env").write_text("\n".join(lines) + "\n")


def call(*words: str, stdin: str = "") -> str:
    """A command of the product; what it printed."""
    done = subprocess.run([COMMAND, *words], env=variables(), input=stdin, capture_output=True, text=True)  # noqa: PLW1510  looked at below
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def fill() -> None:
    """Sample data, the first time: a person, a connection, messages."""
    kept = HOME / "password"
    if not kept.exists():
        call("migrate")
        password = secrets.token_urlsafe(12)
        call("admin", "create", "--email", PERSON, "--password-stdin", stdin=password)
        where = ("--host", "127.0.0.1", "--port", PORT, "--encryption", "none")
        call("connection", "add", "Bureau", "--sender-email", "contact@example.test", *where, "--default")
        for recipient, subject, stream in MESSAGES:
            call("send", "--to", recipient, "--subject", subject, "--text", "Bonjour.", "--stream", stream)
        kept.write_text(password)
    print(f"Sign in as {PERSON} with {kept.read_text()}")
    print(
        f"The capturing server is 127.0.0.1:{PORT}; what it took is in {HOME / 'captured.jsonl'}", flush=True
    )


def main() -> int:
    """Run until Ctrl-C."""
    HOME.mkdir(parents=True, exist_ok=True)
    os.umask(0o077)
    let_dial(HOME)
    with subprocess.Popen([*SINK, *sys.argv[1:]], cwd="tests", stdout=subprocess.PIPE, text=True) as sink:
        try:
            if sink.stdout is None or not json.loads(sink.stdout.readline() or "{}"):
                return 1
            fill()
            with subprocess.Popen([COMMAND, "up"], env=variables(), start_new_session=True) as up:
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, lambda number, _frame: up.send_signal(number))
                return up.wait()
        finally:
            sink.terminate()


if __name__ == "__main__":
    sys.exit(main())
