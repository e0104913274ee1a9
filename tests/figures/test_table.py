"""The tables that a run of the bench prints."""

from bench.figures import RELAY, Figure, Measure, table


def test_a_measure_is_a_row_and_a_client_a_column_with_its_medians():
    trips = Measure("Round trips", "", 2, "≤ 1.1")
    spent = Measure("Processor time", "ms", 3)
    figures = [
        Figure(trips, "smtplib", (4.14,)),
        Figure(trips, "Exim", (2.2, 2.1, 9.0)),
        Figure(trips, "Vaguemestre", (1.08, 1.06, 1.07)),
        Figure(spent, "Vaguemestre", (1234.5,), "SQLite"),
        Figure(spent, "Vaguemestre", (0.25,), "PostgreSQL"),
    ]
    assert table(figures).splitlines() == [
        "**The courier**",
        "",
        "| Measure | smtplib | Exim | Vaguemestre | wanted |",
        "|---|---|---|---|---|",
        "| Round trips | 4.14 | 2.20 | **1.07** | ≤ 1.1 |",
        "| Processor time, ms |  |  | **SQLite 1,234.500, PostgreSQL 0.250** |  |",
    ]


def test_each_part_has_the_columns_of_its_own_peers():
    trips = Measure("Round trips", "", 2)
    relayed = Measure("Relayed", "per second", 0, part=RELAY)
    figures = [
        Figure(relayed, "Haraka", (796.0,)),
        Figure(trips, "smtplib", (4.14,)),
        Figure(relayed, "Vaguemestre", (5012.0,)),
    ]
    assert table(figures).splitlines() == [
        "**From the submitter to the next hop**",
        "",
        "| Measure | Haraka | Vaguemestre | wanted |",
        "|---|---|---|---|",
        "| Relayed, per second | 796 | **5,012** |  |",
        "",
        "**The courier**",
        "",
        "| Measure | smtplib | Vaguemestre | wanted |",
        "|---|---|---|---|",
        "| Round trips | 4.14 |  |  |",
    ]
