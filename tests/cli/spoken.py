"""What a command of this process says: its family's own parser on the test's ledger."""

import argparse
import importlib
import io
import json
import sys

from django.utils import translation

from vaguemestre.cli.failure import reasons
from vaguemestre.cli.main import FAMILIES


class Done:
    """How a command ended, with what it said."""

    def __init__(self, status, output, refusals):
        self.status = status
        self.output = output
        self.refusals = refusals

    @property
    def json(self):
        return json.loads(self.output)

    @property
    def lines(self):
        return self.output.splitlines()


def say(capsys, monkeypatch, family, *words, stdin=""):
    """Run a command, with that on its standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
    parser = argparse.ArgumentParser(prog=f"vaguemestre {family}")
    importlib.import_module(f"vaguemestre.cli.{FAMILIES[family].module}").declare(parser)
    arguments = parser.parse_args(words)
    status, refusals = 0, []
    with translation.override("en"):
        try:
            status = arguments.run(arguments) or 0
        except Exception as error:
            status, refusals = 1, reasons(error)
            if not refusals:
                raise
    return Done(status, capsys.readouterr().out, refusals)
