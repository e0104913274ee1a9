"""What was measured: figures, the one table that shows them, and the file that keeps them."""

import json
import statistics
from dataclasses import asdict, dataclass

OURS = "Vaguemestre"

# Parts of the table.
COURIER, RELAY = "The courier", "From the submitter to the next hop"


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        wanted: what ours should be, if anything is promised.
        digits: after the point.
        part: of the table that it belongs to.
    """

    title: str
    unit: str
    digits: int
    wanted: str = ""
    part: str = COURIER


@dataclass(frozen=True)
class Figure:
    """What one client reached in one measure.

    Attributes:
        who: the client's name: a column of the table.
        how: what tells two figures of a client in one measure apart.
        values: of each repetition.
    """

    measure: Measure
    who: str
    values: tuple[float, ...]
    how: str = ""

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def shown(self):
        return f"{self.median:,.{self.measure.digits}f}"


def table(figures):
    """Markdown: for each part a table with a row for each measure.

    It has a column for each client, in the order of their first figures.
    """
    parts = dict.fromkeys(figure.measure.part for figure in figures)
    return "\n\n".join(
        f"**{part}**\n\n" + _part([figure for figure in figures if figure.measure.part == part])
        for part in parts
    )


def _part(figures):
    clients = dict.fromkeys(figure.who for figure in figures)
    peers = [who for who in clients if who != OURS]
    lines = [_row("Measure", *peers, OURS, "wanted"), "|---" * (len(peers) + 3) + "|"]
    for measure in dict.fromkeys(figure.measure for figure in figures):
        title = f"{measure.title}, {measure.unit}" if measure.unit else measure.title
        cells = [_cell(figures, measure, who) for who in (*peers, OURS)]
        lines.append(_row(title, *cells, measure.wanted))
    return "\n".join(lines)


def _cell(figures, measure, who):
    here = [figure for figure in figures if (figure.measure, figure.who) == (measure, who)]
    text = ", ".join(f"{figure.how} {figure.shown}".strip() for figure in here)
    return f"**{text}**" if text and who == OURS else text


def _row(*cells):
    return "| " + " | ".join(cells) + " |"


def keep(path, about, figures):
    """As JSON, with every repetition."""
    rows = [
        {
            **asdict(figure.measure),
            "who": figure.who,
            "how": figure.how,
            "median": figure.median,
            "values": list(figure.values),
        }
        for figure in figures
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, "figures": rows}, indent=2, ensure_ascii=False) + "\n")
