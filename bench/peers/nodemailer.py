"""nodemailer: its pool with one session, all messages handed to it at once."""

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

from bench.letters import SENDER, composed, recipient_of
from bench.peers.peer import BUILD, fetch, need

VERSION = "10.6.1"
HOME = BUILD / f"nodemailer-{VERSION}"
SCRIPT = Path(__file__).with_name("nodemailer.js")


class Nodemailer:
    """From npm, into the build directory."""

    name = "nodemailer"
    on_disk = False

    def made_ready(self):
        self._node = need(self.name, "node", "nodejs")
        if not (HOME / "node_modules" / "nodemailer").exists():
            npm = need(self.name, "npm", "npm")
            HOME.mkdir(parents=True, exist_ok=True)
            words = ("install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".")
            fetch(self.name, npm, *words, f"nodemailer@{VERSION}", folder=HOME)
        return VERSION

    @contextmanager
    def sending(self, port, messages):
        told = {
            "port": port,
            "sender": SENDER,
            "messages": [
                {"recipient": recipient_of(number), "raw": composed(number).decode()}
                for number in range(messages)
            ],
        }
        environment = os.environ | {"NODE_PATH": str(HOME / "node_modules")}
        command = [self._node, SCRIPT]
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, text=True) as running:
            running.stdin.write(json.dumps(told))
            running.stdin.close()
            yield running
            if running.wait(60) != 0:
                raise RuntimeError(f"nodemailer ended with {running.returncode}")
