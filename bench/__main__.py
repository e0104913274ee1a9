"""Peers and ours in one run: prints their tables, keeps every repetition in build/bench/figures.json.

    PYTHONPATH=tests .venv/bin/python -m bench [--quick] [MEASURE…]

`--quick` is for trying: one repetition and fewer messages, from which nothing may be claimed; like a choice
of measures it is kept beside, in quick.json. Fails before anything is measured, and names it, where a peer or
another program is missing.
"""

import argparse
import importlib.metadata
import sys

from bench import (
    disk,
    end_to_end,
    family,
    figures,
    http_batch,
    http_beside,
    http_single,
    installed,
    large_messages,
    latency,
    machine,
    processor_time,
    queue_cost,
    relay,
    round_trips,
    sink_rate,
    smtp_source,
    verification,
)
from bench.child import ROOT
from bench.peers.peer import Missing, need
from cluster.postgresql import binaries

REPETITIONS = 5
KEPT = ROOT / "build" / "bench"

# Measure -> messages (or verifications), in earnest and for trying.
MESSAGES = {
    "round_trips": (200, 20),
    "processor_time": (10_000, 1_000),
    "queue_cost": (1_000_000, 20_000),
    "large_messages": (50, 4),
    "relay": (10_000, 1_000),
    "latency": (1_000, 100),
    "http_single": (10_000, 1_000),
    "http_batch": (20_000, 2_000),
    "http_beside": (5_000, 500),
    "end_to_end": (2_000, 200),
    "verification": (5, 1),
}
WITH_PEERS = {"round_trips": round_trips, "relay": relay}
MEASURES = {
    "processor_time": processor_time,
    "queue_cost": queue_cost,
    "large_messages": large_messages,
    "latency": latency,
    "http_single": http_single,
    "http_batch": http_batch,
    "http_beside": http_beside,
    "end_to_end": end_to_end,
    "verification": verification,
}


def main():
    options = _options()
    wanted = options.measures or list(MESSAGES)
    clients = {name: WITH_PEERS[name].clients() for name in wanted if name in WITH_PEERS}
    try:
        versions = _made_ready(wanted, clients)
    except Missing as missing:
        sys.exit(str(missing))
    about = {
        "quick": options.quick,
        "machine": machine.described() | disk.described(),
        "versions": versions,
        "sink_per_second": sink_rate.check(),
    }
    file = KEPT / ("quick.json" if options.quick or options.measures else "figures.json")
    found = []
    for name in wanted:
        found += _measured(name, clients.get(name), quick=options.quick)
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


def _made_ready(wanted, clients):
    """Their versions, once everything that any measure needs is there."""
    disk.use()
    installed.made_ready()
    need("smtp-sink", "smtp-sink", "postfix")
    if binaries() is None:
        raise Missing("PostgreSQL", "there is no initdb. Install it: apt-get install postgresql")
    if {"relay", "latency"} & set(wanted):
        family.made_ready()
    if "relay" in wanted:
        smtp_source.made_ready()
    versions = {"Django": importlib.metadata.version("django")}
    return versions | {client.name: client.made_ready() for each in clients.values() for client in each}


def _measured(name, clients, *, quick):
    repetitions, messages = 1 if quick else REPETITIONS, MESSAGES[name][quick]
    if clients:
        return WITH_PEERS[name].measure(clients, repetitions, messages, _tell)
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
