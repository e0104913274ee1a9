"""Haraka: an SMTP server on Node.js that keeps its queue in files, each synced before it is accepted."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from bench.peers.peer import BUILD, answers, fetch, need
from scripted.ports import free_port
from system.product import until

VERSION = "3.3.4"
HOME = BUILD / f"haraka-{VERSION}"
PACKAGE = HOME / "node_modules" / "Haraka"
PROGRAM = PACKAGE / "bin" / "haraka"
PLUGIN = Path(__file__).with_name("haraka.js")

# Of its configuration, what is not as it comes.
FILES = {
    "me": "mail.example.org\n",
    "plugins": "bench\n",
    "loglevel": "ERROR\n",
    "host_list": "",
    "smtp.ini": "listen=127.0.0.1:{port}\nnodes=cpus\n",
    "outbound.ini": "enable_tls=false\nlocal_mx_ok=true\nconcurrency_max=20\n",
}


class Haraka:
    """From npm, into the build directory."""

    name = "Haraka"
    on_disk = True

    def made_ready(self):
        self._node = need(self.name, "node", "nodejs")
        if not PROGRAM.exists():
            npm = need(self.name, "npm", "npm")
            HOME.mkdir(parents=True, exist_ok=True)
            words = ("install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".")
            fetch(self.name, npm, *words, "--omit=optional", f"Haraka@{VERSION}", folder=HOME)
        return VERSION

    @contextmanager
    def relaying(self, port, _messages):
        with tempfile.TemporaryDirectory(prefix="vgm-bench-haraka-", ignore_cleanup_errors=True) as name:
            home, own_port = Path(name), free_port()
            _configure(home, own_port)
            command = [self._node, PROGRAM, "-c", home]
            environment = os.environ | {"BENCH_NEXT_HOP": str(port)}
            with (
                (home / "log").open("wb") as log,
                subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server,
            ):
                try:
                    until(
                        lambda: answers(own_port), 20, what=f"an answer of Haraka, whose log is {home}/log,"
                    )
                    yield own_port, server
                    until(lambda: not any((home / "queue").iterdir()), 20, what="an empty queue of Haraka")
                finally:
                    server.kill()


def _configure(home, port):
    shutil.copytree(PACKAGE / "config", home / "config")
    for folder in ("queue", "plugins"):
        (home / folder).mkdir()
    for name, text in FILES.items():
        (home / "config" / name).write_text(text.format(port=port))
    shutil.copy(PLUGIN, home / "plugins" / "bench.js")
