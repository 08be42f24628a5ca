"""Plots: every value where it belongs, inside the frame, and well-formed for any numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import hypothesis.strategies as st
import pytest
from hypothesis import given

from arb.cli.reports.plots import HEIGHT, WIDTH, histogram, nice, scatter, short, stacked_bars, step_plot, ticks, whole

MEASURES = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 4))


def inside(svg: str) -> bool:
    """Whether it is well-formed and nothing that is drawn leaves the view."""
    root = ElementTree.fromstring(svg)
    numbers: list[tuple[float, float]] = []
    for node in root.iter():
        for point in node.attrib.get("points", "").split():
            across_text, _, up_text = point.partition(",")
            numbers.append((float(across_text), float(up_text)))
        for across, up in (("x", "y"), ("cx", "cy"), ("x1", "y1"), ("x2", "y2")):
            if across in node.attrib:
                numbers.append((float(node.attrib[across]), float(node.attrib[up])))
    return all(-0.1 <= x <= WIDTH + 0.1 and -0.1 <= y <= HEIGHT + 0.1 for x, y in numbers)


@given(st.lists(MEASURES, min_size=1, max_size=40))
def test_a_line_over_time_stays_in_its_frame(values: list[float]) -> None:
    assert inside(step_plot([float(i) for i in range(len(values))], values, str, "KRW"))


@given(st.lists(st.tuples(MEASURES, MEASURES, MEASURES), min_size=1, max_size=20))
def test_stacked_bars_stay_in_their_frame(rows: list[tuple[float, float, float]]) -> None:
    series = {name: [row[i] for row in rows] for i, name in enumerate(("spread", "fees", "fx"))}

    assert inside(stacked_bars([str(i) for i in range(len(rows))], series, "KRW"))


@given(st.lists(MEASURES, min_size=1, max_size=60))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    svg = histogram(values, "bps")

    assert inside(svg)
    assert sum(int(count) for count in re.findall(r"bps: (\d+)<", svg)) == len(values)


@given(st.lists(st.tuples(MEASURES, MEASURES), min_size=1, max_size=20))
def test_a_scatter_has_a_dot_for_every_point(points: list[tuple[float, float]]) -> None:
    svg = scatter([(x, y, "<&>", x > 0) for x, y in points], "x", "y")

    assert inside(svg)
    assert svg.count("<circle") == len(points)


def test_a_stack_adds_gains_upwards_and_losses_downwards_and_marks_the_sum() -> None:
    svg = stacked_bars(["day"], {"spread": [300.0], "fees": [-100.0]}, "KRW")
    tall = {part: float(height) for height, part in re.findall(r'height="([\d.]+)"><title>day (\w+):', svg)}

    assert tall["spread"] == pytest.approx(3 * tall["fees"], rel=0.01)
    assert "day total: +200 KRW" in svg


def test_ticks_are_round_and_inside() -> None:
    assert ticks(-130.0, 260.0) == [-100.0, 0.0, 100.0, 200.0]
    assert nice(0.3) == 0.5
    assert whole(3) == 1.0
    assert whole(40) == 10.0
    assert [short(value) for value in (0.0, 950.0, 25_000.0, -1.5e6)] == ["0", "950", "25k", "-1.5M"]


def test_nothing_to_draw_is_said() -> None:
    assert "nothing to draw" in step_plot([], [], str, "KRW")
    assert "nothing to draw" in histogram([], "bps")
    assert "nothing to draw" in stacked_bars([], {}, "KRW")
    assert "nothing to draw" in scatter([], "x", "y")
