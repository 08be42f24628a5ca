"""What a person sees of a run: a banner, then one live status line on a terminal or plain lines otherwise, then the
end.

Owns: the console of `arb run`.
Never: decides; holds a number that is not shown elsewhere too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Never

import attrs
import trio
from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from arb.domain.effects import Cell, Publish

REFRESH_S: Final = 0.5
PLAIN_S: Final = 10.0
"""Off a terminal a status line is printed so often."""


@attrs.define
class StatusView:
    """The newest published numbers, for the eye only."""

    pairs: dict[str, dict[str, Cell]] = attrs.field(factory=dict)
    portfolio: dict[str, Cell] = attrs.field(factory=dict)
    state: dict[str, Cell] = attrs.field(factory=dict)
    refusals: dict[str, str] = attrs.field(factory=dict)

    def publish(self, effect: Publish) -> None:
        """Remember what the core published."""
        kind, _, name = effect.topic.partition("/")
        if kind == "pair":
            self.pairs.setdefault(name, {}).update(effect.values)
        elif kind == "portfolio":
            self.portfolio.update(effect.values)
        elif kind == "state":
            self.state.update(effect.values)


def banner(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    """The start: one fact per line."""
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        console.print(Text(f"  {name:<{width}}  ", style="dim") + Text(text))
    console.print()


def trade_line(console: Console, values: Mapping[str, Cell], wall: str) -> None:
    """One line per opened or closed pair position."""
    kind = str(values["kind"])
    text = Text(f"{wall}  ") + Text(f"{kind:<5}", style="bold cyan" if kind == "OPEN" else "bold magenta")
    text += Text(f"  {values.get('pair', ''):<5} {values.get('direction', '')}  qty {values.get('qty', '')}")
    text += Text(f"  A {_number(values.get('price_a'))}  B {_number(values.get('price_b'))}")
    if kind == "CLOSE":
        pnl = float(values.get("pnl_krw") or 0)
        text += Text(f"  {pnl:+,.0f} KRW ({values.get('reason', '')})", style="green" if pnl >= 0 else "red")
    elif (expected := values.get("expected_bps")) is not None:
        text += Text(f"  expected {float(expected):+.1f} bps")
    console.print(text)


async def show_status(
    console: Console, view: StatusView, uptime_s: Callable[[], float], level: Callable[[], str]
) -> Never:
    """Keep the status in sight until cancelled."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while True:
                live.update(_grid(view, uptime_s(), level()))
                await trio.sleep(REFRESH_S)
    while True:
        await trio.sleep(PLAIN_S)
        console.print(_line(view, uptime_s(), level()), highlight=False, soft_wrap=True)


def _grid(view: StatusView, uptime_s: float, level: str) -> Grid:
    grid = Grid(box=None, padding=(0, 2), caption=_line(view, uptime_s, level), caption_justify="left")
    for name in ("pair", "d bps", "fair", "gross", "expected", "position"):
        grid.add_column(name, justify="left" if name in ("pair", "position") else "right")
    for pair, values in sorted(view.pairs.items()):
        cells = [_bps(values.get(key)) for key in ("d_bps", "fair_bps", "spread_bps", "net_bps")]
        grid.add_row(pair, *cells, str(values.get("position") or "–"))
    return grid


def _line(view: StatusView, uptime_s: float, level: str) -> str:
    portfolio = view.portfolio
    return (
        f"{int(uptime_s // 60):d}:{int(uptime_s % 60):02d}  {view.state.get('trading_state', '…')}  watchdog {level}  "
        f"open {portfolio.get('num_open_positions', 0)}  closed {portfolio.get('num_trades', 0)}  "
        f"PnL {float(portfolio.get('total_pnl_krw') or 0):+,.0f} KRW"
    )


def _bps(value: Cell) -> str:
    return "–" if value is None else f"{float(value):+.1f}"


def _number(value: Cell) -> str:
    return "–" if value is None else f"{float(value):,.8g}"
