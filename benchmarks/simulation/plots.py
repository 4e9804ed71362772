"""Bars and lines as SVG: text that a diff shows, and no package for three drawings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_COLOURS = ("#3b6ea5", "#d1662c", "#4f9153", "#8a63a8")
_INK, _FAINT = "#222222", "#dddddd"
_FONT = 'font-family="system-ui, sans-serif" font-size="12"'


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    values: tuple[float, ...]  # one a colour


def bars(title: str, legend: Sequence[str], rows: Sequence[Bar], *, mark: tuple[float, str], logarithmic: bool) -> str:
    """Horizontal bars with their values; `mark`: a line through all of them, and what it is."""
    left, width, height = 290, 520, 13 * len(legend) + 9
    top = 48 + 18 * len(legend)
    most = max(mark[0], *(value for row in rows for value in row.values)) * 1.05
    least = min(value for row in rows for value in row.values if value > 0) / 2

    def across(value: float) -> float:
        if logarithmic:
            return width * math.log(max(value, least) / least) / math.log(most / least)
        return width * value / most

    parts = [_text(12, 24, title, bold=True)]
    for number, name in enumerate(legend):
        parts.append(_box(12, 36 + 18 * number, 10, 10, _COLOURS[number]) + _text(28, 45 + 18 * number, name))
    bottom = top + height * len(rows)
    at = left + across(mark[0])
    parts.append(_line(at, top - 6, at, bottom, _INK, dashed=True) + _text(at, top - 10, mark[1], anchor="middle"))
    for place, row in enumerate(rows):
        y = top + place * height
        parts.append(_text(left - 8, y + height / 2 + 2, row.label, anchor="end"))
        for number, value in enumerate(row.values):
            box = across(value) if value else 0
            parts.append(_box(left, y + 13 * number + 2, max(box, 1), 10, _COLOURS[number]))
            parts.append(_text(left + max(box, 1) + 5, y + 13 * number + 11, _short(value)))
    return _svg(left + width + 90, bottom + 12, parts)


def lines(title: str, panels: Mapping[str, Sequence[float]], legend: Sequence[str], *, until: int, unit: str) -> str:
    """One panel a scenario over the same seconds and scale; `panels`: "panel/line" → a value a second."""
    names = list(dict.fromkeys(key.partition("/")[0] for key in panels))
    most = max(max(values[:until], default=1) for values in panels.values()) or 1
    left, width, height, gap = 70, 780, 130, 46
    top = 60
    parts = [_text(12, 24, title, bold=True)]
    at = 12.0
    for number, name in enumerate(legend):
        parts.append(_box(at, 34, 10, 10, _COLOURS[number]) + _text(at + 16, 43, name))
        at += 40 + 7 * len(name)
    for place, name in enumerate(names):
        y = top + place * (height + gap) + 16
        parts.append(_text(left, y - 4, name))
        for share in (0.0, 0.5, 1.0):
            level = y + height * (1 - share)
            parts.append(_line(left, level, left + width, level, _FAINT))
            parts.append(_text(left - 6, level + 4, _short(most * share), anchor="end"))
        for second in range(0, until + 1, 60):
            x = left + width * second / until
            parts.append(_text(x, y + height + 14, f"{second} s", anchor="middle"))
        for number, line in enumerate(legend):
            values = panels[f"{name}/{line}"][: until + 1]
            points = " ".join(
                f"{left + width * second / until:.1f},{y + height * (1 - value / most):.1f}"
                for second, value in enumerate(values)
                if second % 2 == 0
            )
            parts.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[number]}" stroke-width="1.6"/>')
    parts.append(_text(left + width, 43, unit, anchor="end"))
    return _svg(left + width + 20, top + len(names) * (height + gap) + 10, parts)


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {_FONT} fill="{_INK}">'
    return "\n".join([start, _box(0, 0, width, height, "#ffffff"), *parts, "</svg>\n"])


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashes}/>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"
