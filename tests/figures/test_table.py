"""The one table that a run of the bench prints."""

from bench.figures import Figure, Measure, table


def test_a_measure_is_a_row_with_its_medians_and_the_slowest_peer_first():
    trips = Measure("Round trips", "", 2, "≤ 1.1")
    spent = Measure("Processor time", "ms", 3)
    figures = [
        Figure(trips, "Exim", (2.2, 2.1, 9.0)),
        Figure(trips, "smtplib", (4.14,)),
        Figure(trips, "Vaguemestre", (1.08, 1.06, 1.07)),
        Figure(spent, "Vaguemestre on SQLite", (1234.5,)),
    ]
    assert table(figures).splitlines()[2:] == [
        "| Round trips | smtplib 4.14, Exim 2.20 | 1.07 | ≤ 1.1 |",
        "| Processor time (ms) |  | on SQLite 1,234.500 |  |",
    ]
