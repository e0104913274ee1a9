"""The clients of Python: a loop each, in a process of its own.

    python -m bench.peers.loops smtplib|aiosmtplib|django PORT MESSAGES

smtplib and aiosmtplib keep their one session. Django's backend is used as applications use it, by
`message.send()`: it dials for every message.
"""

import asyncio
import importlib.metadata
import platform
import smtplib
import subprocess
import sys
from contextlib import contextmanager

from bench.child import ROOT
from bench.letters import SENDER, composed, recipient_of, text_of
from bench.peers.peer import Missing

HOST, NAME = "127.0.0.1", "client.example.org"


class Loop:
    """A client that one of the functions below drives."""

    on_disk = False

    def __init__(self, name, package):
        self.name, self._package = name, package

    def made_ready(self):
        if self._package == "smtplib":
            return f"of Python {platform.python_version()}"
        try:
            return importlib.metadata.version(self._package)
        except importlib.metadata.PackageNotFoundError:
            raise Missing(self.name, "it is not installed. Run tools/bootstrap dev") from None

    @contextmanager
    def sending(self, port, messages):
        command = [sys.executable, "-m", "bench.peers.loops", self._package, str(port), str(messages)]
        with subprocess.Popen(command, cwd=ROOT) as running:
            yield running
            if running.wait(60) != 0:
                raise RuntimeError(f"{self.name} ended with {running.returncode}")


def by_smtplib(port, messages):
    with smtplib.SMTP(HOST, port, local_hostname=NAME) as session:
        for number in range(messages):
            session.sendmail(SENDER, [recipient_of(number)], composed(number))


def by_aiosmtplib(port, messages):
    import aiosmtplib  # noqa: PLC0415  a peer is asked for by name, and only then

    async def send():
        async with aiosmtplib.SMTP(hostname=HOST, port=port, local_hostname=NAME, start_tls=False) as session:
            for number in range(messages):
                await session.sendmail(SENDER, [recipient_of(number)], composed(number))

    asyncio.run(send())


def by_django(port, messages):
    from django.conf import settings  # noqa: PLC0415  as above
    from django.core.mail import EmailMessage  # noqa: PLC0415

    backend = "django.core.mail.backends.smtp.EmailBackend"
    options = {"host": HOST, "port": port}
    settings.configure(MAILERS={"default": {"BACKEND": backend, "OPTIONS": options}})
    for number in range(messages):
        EmailMessage(f"Message {number}", text_of(), SENDER, [recipient_of(number)]).send()


def main():
    package, port, messages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    drive = {"smtplib": by_smtplib, "aiosmtplib": by_aiosmtplib, "django": by_django}
    drive[package](port, messages)


if __name__ == "__main__":
    main()
