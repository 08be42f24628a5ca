"""What a person reads on the screen: numbers, times, lines that fit."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from arb.cli.console import StatusView, banner, kst, number, pair_grid, status_line, trade_line, trade_text
from arb.cli.why import RefusalSummary, grid, kst_minute
from arb.domain.effects import Cell, Publish

OPENED: dict[str, Cell] = {
    "pair": "BTC",
    "position": "p-1",
    "kind": "OPEN",
    "direction": "long_a",
    "qty": Decimal("0.01300000"),
    "price_a": Decimal("148833000"),
    "price_b": Decimal("102987.50"),
    "pnl_krw": None,
    "pnl_usdt": None,
    "reason": "edge",
}
CLOSED = OPENED | {"kind": "CLOSE", "pnl_krw": Decimal("3371.22105872"), "reason": "take_profit"}
WALL_NS = 1_795_242_816_000_000_000
"""2026-11-21 15:33:36 in Seoul."""


def screen(width: int, *, is_terminal: bool) -> Console:
    return Console(file=StringIO(), width=width, force_terminal=is_terminal, color_system=None, highlight=False)


def shown(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def published(topic: str, **values: Cell) -> Publish:
    return Publish(topic=topic, values=tuple(values.items()))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("148833000"), "148,833,000"),
        (Decimal("148833000.00"), "148,833,000"),
        (Decimal("1.48833E+8"), "148,833,000"),
        (Decimal("102987.50"), "102,987.5"),
        (Decimal("0.00000010"), "0.0000001"),
        (Decimal("100"), "100"),
        (148833000.0, "148,833,000"),
        (None, "–"),
    ],
)
def test_a_number_shows_every_digit_that_counts_and_no_exponent(value: Cell, text: str) -> None:
    assert number(value) == text


def test_a_mean_price_of_several_executions_ends_where_quotes_do() -> None:
    mean = OPENED | {"price_a": Decimal("148823692.30769231"), "price_b": Decimal("102888.24271749")}

    assert trade_text(mean, WALL_NS, is_wide=True).plain.endswith("@ 148,823,692 KRW / 102,888.24 USDT")


def test_times_are_those_of_seoul() -> None:
    assert kst(WALL_NS) == "15:33:36"
    assert kst(WALL_NS + 9 * 3_600_000_000_000) == "00:33:36"
    assert kst_minute("2026-11-21T15:33:00.000000Z") == "11-22 00:33"


def test_a_wide_line_names_the_currencies_and_a_close_its_result_and_reason() -> None:
    assert trade_text(OPENED, WALL_NS, is_wide=True).plain == (
        "15:33:36 OPEN  BTC  long_a 0.013 @ 148,833,000 KRW / 102,987.5 USDT"
    )
    assert trade_text(OPENED | {"captured_krw": Decimal("3300.5")}, WALL_NS, is_wide=True).plain.endswith(
        "USDT caught +3,300 KRW"
    )
    assert trade_text(CLOSED, WALL_NS, is_wide=False).plain == (
        "15:33:36 CLOSE BTC  long_a 0.013 148,833,000/102,987.5 +3,371 KRW take_profit"
    )


@pytest.mark.parametrize("width", [80, 120])
def test_a_trade_is_one_line_on_a_terminal(width: int) -> None:
    console = screen(width, is_terminal=True)

    trade_line(console, CLOSED, WALL_NS)

    (line,) = shown(console)
    assert line.endswith("+3,371 KRW take_profit")


def test_off_a_terminal_no_line_is_broken_whatever_its_length() -> None:
    console = screen(40, is_terminal=False)

    trade_line(console, CLOSED, WALL_NS)
    banner(console, [("limits", "position 2,000,000 KRW, pair 4,000,000, total 8,000,000")])

    assert [len(line) > 40 for line in shown(console)] == [True, True, False]


def test_a_long_fact_of_the_banner_goes_on_under_its_beginning() -> None:
    console = screen(40, is_terminal=True)

    banner(console, [("arb", "0.1.0"), ("limits", "position 2,000,000 KRW, pair 4,000,000")])

    first, second, third, *_ = (line.rstrip() for line in shown(console))
    assert (first, second) == ("arb     0.1.0", "limits  position 2,000,000 KRW, pair")
    assert third == "        4,000,000"


def test_a_position_is_shown_from_its_opening_to_its_close() -> None:
    view = StatusView()
    view.publish(
        published(
            "pair/BTC", d_bps=65.4, fair_bps=0.0, spread_bps=-65.0, net_bps=-46.8, kimchi_bps=213.7, value_bps=7.9
        )
    )
    console = screen(80, is_terminal=True)

    view.publish(Publish(topic="trade", values=tuple(OPENED.items())))
    console.print(pair_grid(view))
    view.publish(Publish(topic="trade", values=tuple((CLOSED | {"qty": Decimal("0.005"), "pnl_krw": None}).items())))
    console.print(pair_grid(view))
    view.publish(Publish(topic="trade", values=tuple(CLOSED.items())))
    console.print(pair_grid(view))

    rows = [line.rstrip() for line in shown(console) if line.startswith("BTC")]
    assert rows[0] == "BTC   +65.4  +0.0  -65.0     -46.8  +213.7  long_a 0.013 now +7.9"
    assert rows[1].endswith("long_a 0.008 now +7.9")
    assert rows[2].endswith("–")


def test_the_status_line_says_what_is_wrong_and_why() -> None:
    view = StatusView()
    view.publish(published("state", trading_state="REDUCING", causes="pause"))
    view.publish(published("portfolio", num_open_positions=1, num_trades=3, total_pnl_krw=Decimal("-11195.4")))

    line = status_line(view, 3_723.9, "warn")

    assert line.plain == "1:02:03  REDUCING  watchdog warn  open 1  closed 3  PnL -11,195 KRW  pause"
    assert {str(span.style) for span in line.spans} == {"yellow", "dim"}


def test_the_table_of_refusals_fits_eighty_columns_with_its_longest_reason() -> None:
    row = RefusalSummary(
        pair="USDT",
        direction="short_a",
        reason="order_notional_max",
        count=123_456,
        minutes=10_080,
        best_net_bps=-1234.56,
        missed_bps=1246.56,
        last_minute="2026-11-21T06:33:00.000000Z",
    )
    console = screen(80, is_terminal=False)

    console.print(grid([row]))

    *_, line = shown(console)
    assert line.split() == [
        *("USDT", "short_a", "order_notional_max", "123,456", "10,080", "-1234.56", "1246.56", "11-21", "15:33"),
    ]
