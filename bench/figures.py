"""What was measured: figures, the one table that shows them, and the file that keeps them."""

import json
import statistics
from dataclasses import asdict, dataclass

OURS = "Vaguemestre"


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        wanted: what ours should be, if anything is promised.
        digits: after the point.
    """

    title: str
    unit: str
    digits: int
    wanted: str = ""


@dataclass(frozen=True)
class Figure:
    """What one client reached in one measure.

    Attributes:
        who: the client's name, and how it was used where that matters.
        values: of each repetition.
    """

    measure: Measure
    who: str
    values: tuple[float, ...]

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def shown(self):
        return f"{self.median:,.{self.measure.digits}f}"


def table(figures):
    """Markdown: a row for each measure, in the order of their first figure; peers from the highest on."""
    lines = ["| Measure | Others | Vaguemestre | Wanted |", "|---|---|---|---|"]
    for measure in dict.fromkeys(figure.measure for figure in figures):
        here = [figure for figure in figures if figure.measure == measure]
        peers = [figure for figure in here if not figure.who.startswith(OURS)]
        ours = [figure for figure in here if figure.who.startswith(OURS)]
        peers.sort(key=lambda figure: -figure.median)
        cells = (
            f"{measure.title} ({measure.unit})" if measure.unit else measure.title,
            ", ".join(f"{figure.who} {figure.shown}" for figure in peers),
            ", ".join(f"{figure.who.removeprefix(OURS).strip()} {figure.shown}".strip() for figure in ours),
            measure.wanted,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def keep(path, about, figures):
    """As JSON, with every repetition."""
    rows = [
        {**asdict(figure.measure), "who": figure.who, "median": figure.median, "values": list(figure.values)}
        for figure in figures
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, "figures": rows}, indent=2, ensure_ascii=False) + "\n")
