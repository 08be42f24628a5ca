"""What a person sees of a run: a banner, then one live status line on a terminal or plain lines otherwise, then the
end.

Owns: the console of `arb run`, and how numbers and times look to a person.
Never: decides; holds a number that is not shown elsewhere too; breaks a line of its own in the middle of a word.
Units: times of day are KST (UTC+9), where the person sits; everything written for programs stays UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Never

import attrs
import trio
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from arb.domain.effects import Cell, Publish

REFRESH_S: Final = 0.5
PLAIN_S: Final = 10.0
"""Off a terminal a status line is printed so often."""
KST_S: Final = 9 * 3600
WIDE: Final = 100
"""From this many columns on a trade's line has room for currencies."""
_QUOTED_DIGITS: Final = 8
_STATE_STYLES: Final = {"REDUCING": "yellow", "HALTED": "bold red", "FROZEN": "bold red"}
_LEVEL_STYLES: Final = {"warn": "yellow", "error": "bold red", "critical": "bold red"}


@attrs.define
class OpenShown:
    """A pair's open position, as the trades told it."""

    direction: str
    qty: Decimal


@attrs.define
class StatusView:
    """The newest published numbers, for the eye only."""

    pairs: dict[str, dict[str, Cell]] = attrs.field(factory=dict)
    portfolio: dict[str, Cell] = attrs.field(factory=dict)
    state: dict[str, Cell] = attrs.field(factory=dict)
    opened: dict[str, OpenShown] = attrs.field(factory=dict)

    def publish(self, effect: Publish) -> None:
        """Remember what the core published."""
        kind, _, name = effect.topic.partition("/")
        if kind == "pair":
            self.pairs.setdefault(name, {}).update(effect.values)
        elif kind == "portfolio":
            self.portfolio.update(effect.values)
        elif kind == "state":
            self.state.update(effect.values)
        elif kind == "trade":
            self._traded(dict(effect.values))

    def _traded(self, values: Mapping[str, Cell]) -> None:
        """An entry opens or grows what is shown; an exit shrinks it, and one with a result ends it."""
        pair, qty = str(values["pair"]), Decimal(str(values["qty"]))
        known = self.opened.get(pair)
        if values["kind"] == "OPEN":
            before = known.qty if known is not None else Decimal(0)
            self.opened[pair] = OpenShown(str(values["direction"]), before + qty)
        elif values.get("pnl_krw") is not None:
            self.opened.pop(pair, None)
        elif known is not None:
            known.qty = max(known.qty - qty, Decimal(0))


def kst(wall_ns: int) -> str:
    """Time of day in Seoul, to the second."""
    seconds = (wall_ns // 1_000_000_000 + KST_S) % 86_400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def number(value: Cell) -> str:
    """Every digit that counts, thousands apart, nothing behind the last one; never an exponent."""
    if value is None:
        return "–"
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    text = f"{exact:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def banner(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    """The start: one fact per line; on a terminal what is longer goes on under its beginning."""
    if console.is_terminal:
        grid = Grid.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in facts:
            grid.add_row(name, Text(text))
        console.print(grid)
    else:
        width = max(len(name) for name, _ in facts)
        for name, text in facts:
            console.print(f"{name:<{width}}  {text}", markup=False, soft_wrap=True)
    console.print()


def trade_line(console: Console, values: Mapping[str, Cell], wall_ns: int) -> None:
    """One line per opened or closed pair position; a narrow terminal gets it without the currencies."""
    text = trade_text(values, wall_ns, is_wide=not console.is_terminal or console.width >= WIDE)
    if console.is_terminal:
        console.print(text, no_wrap=True, overflow="ellipsis")
    else:
        console.print(text, soft_wrap=True)


def _price(value: Cell) -> str:
    """A quote as it is; a mean of several without the digits that no venue quotes."""
    if value is None:
        return number(value)
    exact = Decimal(str(value))
    return number(round(exact, max(0, _QUOTED_DIGITS - 1 - exact.adjusted())))


def trade_text(values: Mapping[str, Cell], wall_ns: int, *, is_wide: bool) -> Text:
    """When, what, how much, at which prices, what a trade of inventory caught, what came of a close and why."""
    kind = str(values["kind"])
    text = Text(f"{kst(wall_ns)} ")
    text.append(f"{kind:<5}", style="cyan" if kind == "OPEN" else "magenta")
    text.append(f" {values.get('pair', ''):<4} {values.get('direction', '')} {number(values.get('qty'))} ")
    a, b = _price(values.get("price_a")), _price(values.get("price_b"))
    text.append(f"@ {a} KRW / {b} USDT" if is_wide else f"{a}/{b}")
    if (caught := values.get("captured_krw")) is not None:
        text.append(f" caught {float(caught):+,.0f} KRW")
    if (pnl := values.get("pnl_krw")) is not None:
        text.append(f" {float(pnl):+,.0f} KRW", style="green" if float(pnl) >= 0 else "red")
    if kind == "CLOSE":
        text.append(f" {values.get('reason', '')}")
    return text


async def show_status(
    console: Console, view: StatusView, uptime_s: Callable[[], float], level: Callable[[], str]
) -> Never:
    """Keep the status in sight until cancelled."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while True:
                live.update(Group(pair_grid(view), status_line(view, uptime_s(), level())))
                await trio.sleep(REFRESH_S)
    while True:
        await trio.sleep(PLAIN_S)
        console.print(status_line(view, uptime_s(), level()), soft_wrap=True)


def pair_grid(view: StatusView) -> Grid:
    """One row per pair: where it stands, what an entry would bring, what is open and what that is worth."""
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("pair", "d bps", "fair", "gross", "expected", "kimchi"):
        grid.add_column(name, justify="left" if name == "pair" else "right", no_wrap=True)
    grid.add_column("position", no_wrap=True, overflow="ellipsis")
    for pair, values in sorted(view.pairs.items()):
        cells = [_bps(values.get(key)) for key in ("d_bps", "fair_bps", "spread_bps", "net_bps", "kimchi_bps")]
        grid.add_row(pair, *cells, _position(view.opened.get(pair), values))
    return grid


def status_line(view: StatusView, uptime_s: float, level: str) -> Text:
    """The run in one line; whatever is not as it should be comes in colour, with its cause last."""
    portfolio, state = view.portfolio, str(view.state.get("trading_state", "starting"))
    text = Text(f"{_duration(uptime_s)}  ", no_wrap=True, overflow="ellipsis")
    text.append(state, style=_STATE_STYLES.get(state, ""))
    text.append("  watchdog ").append(level, style=_LEVEL_STYLES.get(level, ""))
    text.append(f"  open {portfolio.get('num_open_positions', 0)}  closed {portfolio.get('num_trades', 0)}")
    text.append(f"  PnL {float(portfolio.get('total_pnl_krw') or 0):+,.0f} KRW")
    if causes := str(view.state.get("causes") or ""):
        text.append(f"  {causes}", style="dim")
    return text


def _position(shown: OpenShown | None, values: Mapping[str, Cell]) -> str:
    if shown is None:
        return "–"
    return f"{shown.direction} {number(shown.qty)} now {_bps(values.get('value_bps'))}"


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours:d}:{rest // 60:02d}:{rest % 60:02d}"


def _bps(value: Cell) -> str:
    return "–" if value is None else f"{float(value):+.1f}"
