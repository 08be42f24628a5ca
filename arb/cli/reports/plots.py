"""Plots as SVG text: lines, stacked bars, histogram, scatter; coloured by the style of the page they stand in.

Owns: scales, ticks, and the shapes of four plots.
Never: knows what its numbers mean; loads anything; gives a colour of its own, so that light and dark both read.
Units: pixels of a 720 × 280 view; floats, since a plot is for the eye.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

import attrs

WIDTH: Final = 720
HEIGHT: Final = 280
LEFT: Final = 76
RIGHT: Final = 14
TOP: Final = 14
BOTTOM: Final = 48
BAR_MAX: Final = 64.0
TICKS: Final = 5
LABELS: Final = 8
BINS: Final = 24


@attrs.frozen
class Scale:
    """A straight line from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def step_plot(times: Sequence[float], values: Sequence[float], label: Callable[[float], str], unit: str) -> str:
    """A value that holds until the next one, over time; filled to zero."""
    if not times:
        return nothing()
    x = _scale(min(times), max(times), LEFT, WIDTH - RIGHT, is_padded=False)
    y = _upright(values)
    dots = [(x.start, y.at(0.0))]
    for time, value in zip(times, values, strict=True):
        dots += [(x.at(time), dots[-1][1]), (x.at(time), y.at(value))]
    dots.append((x.end, dots[-1][1]))
    line = " ".join(f"{left:.1f},{top:.1f}" for left, top in dots)
    area = f"{x.start:.1f},{y.at(0.0):.1f} {line} {x.end:.1f},{y.at(0.0):.1f}"
    places = [x.low + (x.high - x.low) * part / 4 for part in range(5)]
    marks = [(x.at(place), label(place)) for place in places]
    marks = [mark for i, mark in enumerate(marks) if i == 0 or mark[1] != marks[i - 1][1]]
    last = f"{values[-1]:+,.0f} {unit}"
    body = f'<polygon class="area" points="{area}"/><polyline class="line" points="{line}"/>'
    return _svg(_frame(y, unit) + body + _below(marks) + _end_label(y.at(values[-1]), last))


def stacked_bars(names: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> str:
    """One bar per name: what adds stands above zero, what takes away below; a line marks the sum."""
    if not names:
        return nothing()
    tops = [sum(max(values[i], 0.0) for values in series.values()) for i in range(len(names))]
    lows = [sum(min(values[i], 0.0) for values in series.values()) for i in range(len(names))]
    y = _upright([*tops, *lows])
    room = (WIDTH - LEFT - RIGHT) / len(names)
    wide = min(room * 0.7, BAR_MAX)
    shapes: list[str] = []
    for i, name in enumerate(names):
        middle = LEFT + room * (i + 0.5)
        up = down = 0.0
        for number, (part, values) in enumerate(series.items()):
            value = values[i]
            start, end = (up, up + value) if value >= 0 else (down, down + value)
            up, down = (end, down) if value >= 0 else (up, end)
            if value:
                title = f"{name} {part}: {value:+,.0f} {unit}"
                shapes.append(_bar(middle - wide / 2, wide, y.at(start), y.at(end), f"c{number}", title))
        total = y.at(up + down)
        title = escape(f"{name} total: {up + down:+,.0f} {unit}")
        shapes.append(
            f'<line class="sum" x1="{middle - wide / 2 - 4:.1f}" x2="{middle + wide / 2 + 4:.1f}" '
            f'y1="{total:.1f}" y2="{total:.1f}"><title>{title}</title></line>'
        )
    every = math.ceil(len(names) / LABELS)
    marks = [(LEFT + room * (i + 0.5), name) for i, name in enumerate(names) if i % every == 0]
    return _svg(_frame(y, unit) + "".join(shapes) + _below(marks))


def histogram(values: Sequence[float], unit: str) -> str:
    """How often each range of values occurred; below zero in the colour of losses."""
    if not values:
        return nothing()
    step = nice((max(values) - min(values)) / BINS or 1.0)
    first = math.floor(min(values) / step)
    counts = [0] * (math.floor(max(values) / step) - first + 1)
    for value in values:
        counts[math.floor(value / step) - first] += 1
    x = Scale(first * step, (first + len(counts)) * step, LEFT, WIDTH - RIGHT)
    y = _upright([float(max(counts))])
    shapes = []
    for i, count in enumerate(counts):
        low = (first + i) * step
        left, right = x.at(low), x.at(low + step)
        title = f"{low:+g} to {low + step:+g} {unit}: {count}"
        if count:
            style = "won" if low >= 0 else "lost"
            shapes.append(_bar(left + 0.5, right - left - 1.0, y.at(0.0), y.at(count), style, title))
    marks = [(x.at(tick), f"{tick:g}") for tick in ticks(x.low, x.high)]
    return _svg(_frame(y, "trades", whole(max(counts))) + "".join(shapes) + _below(marks, unit))


def scatter(points: Sequence[tuple[float, float, str, bool]], across: str, upright: str) -> str:
    """One dot per (x, y, title, is won)."""
    if not points:
        return nothing()
    x = _scale(min(p[0] for p in points), max(p[0] for p in points), LEFT, WIDTH - RIGHT, is_padded=True)
    y = _scale(min(p[1] for p in points), max(p[1] for p in points), HEIGHT - BOTTOM, TOP, is_padded=True)
    dots = [
        f'<circle class="{"won" if won else "lost"}" cx="{x.at(left):.1f}" cy="{y.at(top):.1f}" r="3.5">'
        f"<title>{escape(title)}</title></circle>"
        for left, top, title, won in points
    ]
    marks = [(x.at(tick), f"{tick:g}") for tick in ticks(x.low, x.high)]
    return _svg(_frame(y, upright) + "".join(dots) + _below(marks, across))


def nothing() -> str:
    """What stands where there is nothing to draw."""
    return '<p class="none">nothing to draw in this period</p>'


def nice(step: float) -> float:
    """The step of 1, 2, 2.5 or 5 times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= step * 0.999999)


def ticks(low: float, high: float, least: float = 0.0) -> list[float]:
    """Round values inside a range, at least so far apart."""
    step = max(nice((high - low) / TICKS), least)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [0.0 if not i else i * step for i in range(first, last + 1)]


def whole(highest: int) -> float:
    """A step for counts: no tick between two of them."""
    return float(math.ceil(nice(highest / TICKS)))


def short(value: float) -> str:
    """A tick as text: thousands as k, millions as M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _upright(values: Sequence[float]) -> Scale:
    """A scale for values that stand on zero."""
    low, high = min(0.0, *values), max(0.0, *values)
    if low == high:
        high = 1.0
    room = (high - low) * 0.08
    return Scale(low - (room if low < 0 else 0.0), high + (room if high > 0 else 0.0), HEIGHT - BOTTOM, TOP)


def _scale(low: float, high: float, start: float, end: float, *, is_padded: bool) -> Scale:
    room = ((high - low) or 1.0) * 0.06 if is_padded or low == high else 0.0
    return Scale(low - room, high + room, start, end)


def _frame(y: Scale, unit: str, least: float = 0.0) -> str:
    """Lines across at round values, with their numbers, and the unit."""
    parts = []
    for tick in ticks(y.low, y.high, least):
        top = y.at(tick)
        style = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{style}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top:.1f}" y2="{top:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{top + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="unit" transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(unit)}</text>"
    )
    return "".join(parts)


def _below(marks: Sequence[tuple[float, str]], unit: str = "") -> str:
    """Numbers or names under the plot, and the unit under them."""
    parts = []
    for i, (left, text) in enumerate(marks):
        near_end = left > WIDTH - RIGHT - 30 and i == len(marks) - 1
        anchor = "end" if near_end else "start" if left < LEFT + 20 and i == 0 and len(marks) > 1 else "middle"
        top = HEIGHT - BOTTOM + 21
        parts.append(f'<text class="tick" x="{left:.1f}" y="{top}" text-anchor="{anchor}">{escape(text)}</text>')
    if unit:
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text class="unit" x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(unit)}</text>')
    return "".join(parts)


def _bar(left: float, wide: float, start: float, end: float, style: str, title: str) -> str:
    top, tall = min(start, end), max(abs(start - end), 0.5)
    return (
        f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" width="{max(wide, 0.8):.1f}" height="{tall:.1f}">'
        f"<title>{escape(title)}</title></rect>"
    )


def _end_label(top: float, text: str) -> str:
    return (
        f'<text class="last" x="{WIDTH - RIGHT - 4}" y="{max(top - 7, TOP + 10):.1f}" text-anchor="end">{text}</text>'
    )


def _svg(body: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{body}</svg>'
