"""Peers and ours, measured in one run: prints one table, keeps every repetition in build/bench/figures.json.

    PYTHONPATH=tests .venv/bin/python -m bench [--quick] [MEASURE…]

`--quick` is for trying: one repetition and fewer messages, from which nothing may be claimed; like a choice
of measures it is kept beside, in quick.json. Fails before anything is measured, and names it, where a peer or
another program is missing.
"""

import argparse
import sys

from bench import (
    end_to_end,
    figures,
    large_messages,
    machine,
    processor_time,
    queue_cost,
    round_trips,
    sink_rate,
)
from bench.child import ROOT
from bench.peers.peer import Missing, need
from cluster.postgresql import binaries

REPETITIONS = 5
KEPT = ROOT / "build" / "bench"

# Measure -> messages, in earnest and for trying.
MESSAGES = {
    "round_trips": (200, 20),
    "processor_time": (10_000, 1_000),
    "queue_cost": (1_000_000, 20_000),
    "large_messages": (50, 4),
    "end_to_end": (2_000, 200),
}
MEASURES = {
    "processor_time": processor_time,
    "queue_cost": queue_cost,
    "large_messages": large_messages,
    "end_to_end": end_to_end,
}


def main():
    options = _options()
    wanted = options.measures or list(MESSAGES)
    clients = round_trips.clients() if "round_trips" in wanted else []
    try:
        versions = _made_ready(clients)
    except Missing as missing:
        sys.exit(str(missing))
    about = {
        "quick": options.quick,
        "machine": machine.described(),
        "versions": versions,
        "sink_per_second": sink_rate.check(),
    }
    file = KEPT / ("quick.json" if options.quick or options.measures else "figures.json")
    found = []
    for name in wanted:
        found += _measured(name, clients, quick=options.quick)
        figures.keep(file, about, found)  # each time: a run is long, and may break off
    print(figures.table(found))


def _options():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one repetition, fewer messages")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"some of {', '.join(MESSAGES)}")
    options = parser.parse_args()
    if unknown := set(options.measures) - set(MESSAGES):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    return options


def _made_ready(clients):
    """Their versions, once everything that any measure needs is there."""
    need("smtp-sink", "smtp-sink", "postfix")
    if binaries() is None:
        raise Missing("PostgreSQL", "there is no initdb. Install it: apt-get install postgresql")
    return {client.name: client.made_ready() for client in clients}


def _measured(name, clients, *, quick):
    repetitions, messages = 1 if quick else REPETITIONS, MESSAGES[name][quick]
    if name == "round_trips":
        return round_trips.measure(clients, repetitions, messages, _tell)
    found = MEASURES[name].measure(repetitions, messages)
    for figure in found:
        _tell(figure)
    return found


def _tell(figure):
    """Progress: a long run should show that it goes on."""
    values = ", ".join(f"{value:,.{figure.measure.digits}f}" for value in figure.values)
    print(f"{figure.measure.title}: {figure.who} {figure.how} {values}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
