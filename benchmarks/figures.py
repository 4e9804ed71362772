"""What a run found: figures, the one table, and what got worse since the accepted run."""

from __future__ import annotations

import json
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

Baseline = dict[str, float]

EXACT = 0.0
#: Averages over a dozen orders: one in five claims wraps around its pool and reads twice.
COUNTED = 0.04
#: Ratios of two things timed side by side on a machine that others use too.
TIMED = 0.25
#: Such ratios of tails, and of two processes that run one after the other.
TIMED_APART = 0.5

_WIDTHS = (62, 14, 30, 14)  # 120 columns
_NOTE = " " * 6


@dataclass(frozen=True, slots=True)
class Figure:
    """One line. `name` starts with its part; `most`: what is aimed at; `tolerance`: how much more than the baseline
    is no worse (a share of it), None where nothing is compared; `required`: more than `most` fails the run, whatever
    was accepted before; `note`: told below it. Less is better.
    """

    name: str
    value: float
    what: str
    unit: str = ""
    _: KW_ONLY
    beside: str = ""
    most: float | None = None
    tolerance: float | None = None
    note: str = ""
    required: bool = False

    @property
    def part(self) -> str:
        return self.name.partition(".")[0]

    @property
    def over(self) -> bool:
        return self.most is not None and self.value > self.most


def worse(figures: Sequence[Figure], baseline: Baseline) -> list[str]:
    """What got worse than the baseline allows, in words; nothing for what it does not know yet."""
    found = []
    for each in figures:
        accepted = baseline.get(each.name)
        if each.tolerance is not None and accepted is not None and each.value > accepted * (1 + each.tolerance) + 1e-9:
            allowed = f"{100 * each.tolerance:.0f} % more allowed"
            found.append(f"{each.name}: {_number(each.value)}, was {_number(accepted)} ({allowed})")
        elif each.required and each.over:
            found.append(f"{each.name}: {_number(each.value)}, must be {_number(each.most or 0)} at most")
    parts, measured = {each.part for each in figures}, {each.name for each in figures}
    gone = [name for name in baseline if name.partition(".")[0] in parts and name not in measured]
    return found + [f"{name}: no longer measured" for name in gone]


def missed(figures: Iterable[Figure]) -> list[str]:
    """What is not where it is aimed at."""
    over = [each for each in figures if each.over]
    return [f"{each.name}: {_number(each.value)}, the aim is {_number(each.most or 0)}" for each in over]


def table(figures: Sequence[Figure], baseline: Baseline) -> str:
    lines = [_line("", "this run", "aim or beside it", "baseline"), _line(*("-" * width for width in _WIDTHS))]
    part = ""
    for each in figures:
        if each.part != part:
            part = each.part
            lines.append(part)
        accepted = _number(baseline[each.name]) if each.name in baseline else ""
        lines.append(_line(f"  {each.what}", f"{_number(each.value)} {each.unit}".rstrip(), _beside(each), accepted))
        lines += textwrap.wrap(each.note, sum(_WIDTHS), initial_indent=_NOTE, subsequent_indent=_NOTE)
    return "\n".join(line.rstrip() for line in lines)


def read_baseline(path: Path) -> Baseline:
    return {name: float(value) for name, value in json.loads(path.read_text()).items()} if path.exists() else {}


def accepted(figures: Sequence[Figure], baseline: Baseline) -> Baseline:
    """The baseline with this run's figures in the place of the parts that ran."""
    parts = {each.part for each in figures}
    kept = {name: value for name, value in baseline.items() if name.partition(".")[0] not in parts}
    compared = {each.name: round(each.value, 4) for each in figures if each.tolerance is not None}
    return dict(sorted({**kept, **compared}.items()))


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def counts(things: Mapping[str, float], orders: int) -> str:
    """`dynamodb:GetItem 4, …`: the most frequent first, each by the order."""
    ordered = sorted(things.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{name} {_number(count / orders)}" for name, count in ordered)


def _beside(figure: Figure) -> str:
    if figure.most is None:
        return figure.beside
    met = "✗" if figure.over else "✓"
    return f"≤ {_number(figure.most)} {met} {figure.beside}".rstrip()


def _number(value: float) -> str:
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.1f}"


def _line(*cells: str) -> str:
    first, *others = (cell[:width] for cell, width in zip(cells, _WIDTHS, strict=True))
    return first.ljust(_WIDTHS[0]) + "".join(cell.rjust(width) for cell, width in zip(others, _WIDTHS[1:], strict=True))
