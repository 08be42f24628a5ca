"""A statement from tables written by hand: sums, marks, and every way in which numbers may fail to add."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from arb.cli.reports.document import document, lines_as_csv
from arb.cli.reports.sheets import Period, Sheets
from arb.cli.reports.statement import Statement, statement_of
from arb.domain.effects import Table
from arb.domain.errors import ConfigError
from tests.cli.reports.written import closed, contract_fill, fill, write

D = Decimal


def read(sheets: Sheets, since: str | None = None, until: str | None = None, pair: str | None = None) -> Statement:
    period = Period(*(date.fromisoformat(text) if text else None for text in (since, until)))
    return statement_of(sheets, mode="mock", period=period, pair=pair)


def round_trip(folder: Path, position: str = "p1", day: str = "2026-11-03", **cells: str) -> Sheets:
    """Buy 10 at 1,000 and sell at 1,010 on A; sell at 1 and buy at 1 on B; fees 5 KRW each and 0.01 USDT each."""
    write(folder, Table.FILLS, [
        fill(f"{position}1", f"{day}T10:00:00", position=position, fee="5"),
        contract_fill(f"{position}2", f"{day}T10:00:01", position=position, side="sell", fee="0.01"),
        fill(f"{position}3", f"{day}T11:00:00", position=position, side="sell", price="1010", fee="5"),
        contract_fill(f"{position}4", f"{day}T11:00:01", position=position, fee="0.01"),
    ])  # fmt: skip
    found = {
        "spread_krw": "100", "fees_krw": "-38", "pnl_krw": "62", "spread_usdt": "0.07142857",
        "fees_usdt": "-0.02714286", "pnl_usdt": "0.04428571", "closed": f"{day}T02:00:01.000000Z", **cells,
    }  # fmt: skip
    return write(folder, Table.POSITIONS, [closed(position, **found)])


def test_parts_turnover_and_counts_come_by_day_and_pair(tmp_path: Path) -> None:
    round_trip(tmp_path)
    sheets = round_trip(tmp_path, "p2", "2026-11-04", id="p2")

    found = read(sheets)

    assert found.faults == ()
    assert [(line.day, line.trades, line.wins) for line in found.lines] == [("2026-11-03", 1, 1), ("2026-11-04", 1, 1)]
    assert found.total.krw.total == D(124)
    assert found.total.usdt.total == D("0.08857142")
    # 10,000 + 10,100 KRW, and twice 10 USDT at 1,400
    assert found.lines[0].turnover_krw == D(48100)
    assert found.total.win_rate == 1.0


def test_a_period_is_of_korean_days_with_both_ends(tmp_path: Path) -> None:
    round_trip(tmp_path, closed="2026-11-03T15:00:00.000000Z")
    sheets = round_trip(tmp_path, "p2", closed="2026-11-03T14:59:59.999999Z")

    assert [result.position for result in read(sheets, "2026-11-03", "2026-11-03").results] == ["p2"]
    assert [result.position for result in read(sheets, "2026-11-04").results] == ["p1"]
    assert read(sheets, pair="BTC").results == ()


def test_parts_that_miss_the_total_are_an_error(tmp_path: Path) -> None:
    sheets = round_trip(tmp_path, slippage_krw="1")

    assert "p1: its parts miss the total by -1 KRW" in read(sheets).faults


def test_a_result_that_its_fills_contradict_is_an_error(tmp_path: Path) -> None:
    sheets = round_trip(tmp_path, spread_krw="101", pnl_krw="63")

    assert read(sheets).faults == ("p1: fills and funding give 62.00000000 KRW, the books say 63",)


def test_fees_that_the_fills_contradict_are_an_error(tmp_path: Path) -> None:
    sheets = round_trip(tmp_path, spread_krw="99", fees_krw="-37")

    assert read(sheets).faults == ("p1: its fills paid fees of -38.00000000 KRW, the books say -37",)


def test_funding_of_a_position_is_held_against_its_result(tmp_path: Path) -> None:
    booked = {"funding_krw": "700", "pnl_krw": "762", "funding_usdt": "0.5", "pnl_usdt": "0.54428571"}
    lost = read(round_trip(tmp_path, **booked))
    cells = {"position": "p1", "pair": "XRP", "venue": "binance_usdm", "instrument": "binance_usdm:XRPUSDT",
             "currency": "USDT", "time": "2026-11-03T01:30:00.000000Z"}  # fmt: skip
    found = read(write(tmp_path, Table.FUNDING, [{**cells, "amount": "0.5", "fx_mid": "1400"}]))

    assert found.faults == ()
    assert found.total.krw.funding == D(700)
    assert lost.faults == (
        "p1: fills and funding give 62.00000000 KRW, the books say 762",
        "p1: fills and funding give 0.04428571 USDT, the books say 0.54428571",
        "p1: its funding is 0 KRW, the books say 700",
    )


def test_income_without_a_position_is_in_the_totals_and_said_to_be(tmp_path: Path) -> None:
    round_trip(tmp_path)
    cells = {"pair": "XRP", "venue": "binance_usdm", "instrument": "binance_usdm:XRPUSDT", "currency": "USDT"}
    sheets = write(tmp_path, Table.FUNDING, [
        {**cells, "id": "1", "amount": "0.5", "fx_mid": "1400", "time": "2026-11-04T01:30:00.000000Z"},
        {**cells, "id": "2", "amount": "0.7", "time": "2026-11-04T01:30:00.000000Z"},
    ])  # fmt: skip

    found = read(sheets)

    assert (found.total.krw.total, found.total.trades) == (D(762), 1)
    assert found.lines[1].krw.funding == D(700)
    assert found.remarks[0].startswith("1 funding payments came when no position was open")
    assert any("1 funding payments outside a position have no FX mid" in note for note in found.notes)


def test_what_a_position_leaves_over_is_paid_for_and_taken_along_by_the_next(tmp_path: Path) -> None:
    """Bought 10, sold 9 at 1,010: one coin leaves at 1,010; the next position buys 9 and sells 10."""
    write(tmp_path, Table.FILLS, [
        fill("1", "2026-11-03T10:00:00"),
        fill("2", "2026-11-03T11:00:00", side="sell", qty="9", price="1010"),
        fill("3", "2026-11-04T10:00:00", position="p2", qty="9"),
        fill("4", "2026-11-04T11:00:00", position="p2", side="sell", price="1020"),
    ])  # fmt: skip
    first = closed("p1", spread_krw="100", pnl_krw="100", spread_usdt="0.07142857", pnl_usdt="0.07142857")
    second = closed("p2", spread_krw="190", pnl_krw="190", spread_usdt="0.13571429", pnl_usdt="0.13571429",
                    opened="2026-11-04T01:00:00.000000Z", closed="2026-11-04T02:00:00.000000Z")  # fmt: skip
    before = read(write(tmp_path, Table.POSITIONS, [first]))
    write(tmp_path, Table.TRADES, [{"position": "p2", "kind": "OPEN"}])
    after = read(write(tmp_path, Table.POSITIONS, [second]))

    assert before.faults == after.faults == ()
    assert [(item.qty, item.cost) for item in before.left_over] == [(D(1), D(1010))]
    assert after.left_over == ()


def test_left_over_coins_that_meet_their_opposites_leave_money_and_are_said_to(tmp_path: Path) -> None:
    """One coin left at 1,010, then one short at 990: together 20 KRW are gone, in no position."""
    write(tmp_path, Table.FILLS, [
        fill("1", "2026-11-03T10:00:00"),
        fill("2", "2026-11-03T11:00:00", side="sell", qty="9", price="1010"),
        fill("3", "2026-11-04T10:00:00", position="p2", side="sell"),
        fill("4", "2026-11-04T11:00:00", position="p2", qty="9", price="990"),
    ])  # fmt: skip
    first = closed("p1", spread_krw="100", pnl_krw="100", spread_usdt="0.07142857", pnl_usdt="0.07142857")
    second = closed("p2", spread_krw="100", pnl_krw="100", spread_usdt="0.07142857", pnl_usdt="0.07142857",
                    direction="short_a", opened="2026-11-04T01:00:00.000000Z")  # fmt: skip
    found = read(write(tmp_path, Table.POSITIONS, [first, second]))

    assert found.faults == ()
    assert found.left_over == ()
    assert found.remarks == (
        "left-over coins that met their opposites made -20.00 KRW and 0.00 USDT, outside every position",
    )


def test_an_open_position_stands_at_its_marks_and_its_parts_must_add(tmp_path: Path) -> None:
    row = closed("p1", status="open", closed="", spread_krw="-30", pnl_krw="-31", fees_krw="-1", mark_price_a="999",
                 time="2026-11-03T01:00:00.000000Z")  # fmt: skip
    unmarked = {**closed("p2", status="open"), "pnl_krw": ""}
    sheets = write(tmp_path, Table.POSITIONS, [row, unmarked, closed("p3", status="open", rounding_usdt="2")])

    found = read(sheets)

    assert found.opened[0].krw is not None
    assert found.opened[0].krw.total == D(-31)
    assert found.faults == ("p3: the parts of its mark miss the whole by -2 USDT",)
    assert "p2: open, and not marked yet" in found.notes
    assert found.total.trades == 0


def test_the_account_must_be_the_sum_of_its_parts_and_what_nobody_explains_is_told(tmp_path: Path) -> None:
    cells = {"occasion": "day", "is_in_flight": "false", "time": "2026-11-03T15:00:00.000000Z"}
    sheets = write(tmp_path, Table.ACCOUNT, [
        {**cells, "id": "1", "equity_krw": "100", "opening_krw": "60", "unexplained_krw": "40"},
        {**cells, "id": "2", "equity_krw": "100", "opening_krw": "60", "is_in_flight": "true"},
    ])  # fmt: skip

    found = read(sheets)

    assert found.faults == ("account at 2026-11-04 00:00:00 KST: its parts miss its equity by 40 KRW",)
    told = "account: 40.00 KRW of the equity at 2026-11-04 00:00:00 KST are unexplained, in 1 readings; "
    assert found.notes == (told + "find out who moved them",)


def test_the_cost_of_incidents_is_summed(tmp_path: Path) -> None:
    cells = {"pair": "XRP", "kind": "enter", "opened": "2026-11-03T01:00:00.000000Z"}
    sheets = write(tmp_path, Table.INCIDENTS, [
        {**cells, "id": "1", "cost_krw": "12.5", "resolution": "completed"}, {**cells, "id": "2", "resolution": ""},
        {**cells, "id": "1", "rev": "1", "cost_krw": "13.5", "resolution": "unwound"},
    ])  # fmt: skip

    found = read(sheets)

    assert found.incident_cost_krw == D("13.5")
    assert [line.resolution for line in found.incidents] == ["unwound", "open"]


def test_a_line_that_is_still_being_written_is_no_row(tmp_path: Path) -> None:
    sheets = round_trip(tmp_path)
    path = tmp_path / "positions.csv"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole + whole.splitlines()[1][:40], encoding="utf-8")

    assert len(read(sheets).results) == 1


@pytest.mark.parametrize(
    ("cells", "told"),
    [({"pnl_krw": "many"}, "no number"), ({"closed": "soon"}, "no moment"), ({"fx_close": ""}, "lacks")],
)
def test_a_cell_that_cannot_be_read_is_named(tmp_path: Path, cells: dict[str, str], told: str) -> None:
    sheets = round_trip(tmp_path, **cells)

    with pytest.raises(ConfigError, match=f"row p1: .*{told}"):
        read(sheets)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "positions.csv").write_text("name,number\np1,0\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"positions\.csv: has no columns id and rev"):
        read(Sheets(tmp_path))


def test_a_broken_row_is_named_by_its_line(tmp_path: Path) -> None:
    sheets = round_trip(tmp_path)
    with (tmp_path / "positions.csv").open("a", encoding="utf-8") as file:
        file.write("p2,0\n")

    with pytest.raises(ConfigError, match=r"positions\.csv, line 3: is no row"):
        read(sheets)


def test_a_column_that_came_later_is_empty_in_an_older_file(tmp_path: Path) -> None:
    sheets = round_trip(tmp_path)
    path = tmp_path / "fills.csv"
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    at = rows[0].index("bank_rate")
    path.write_text("".join(",".join(row[:at] + row[at + 1 :]) + "\n" for row in rows), encoding="utf-8")

    assert read(sheets).faults == ()


def test_the_document_and_the_rows_carry_exact_numbers(tmp_path: Path) -> None:
    found = read(round_trip(tmp_path))

    whole = document(found)
    rows = lines_as_csv(found).splitlines()

    assert isinstance(whole, dict)
    assert isinstance(whole["total"], dict)
    assert whole["total"]["krw"] == {
        "spread_at_decision": "100", "slippage": "0", "fees": "-38", "funding": "0", "fx": "0", "rounding": "0",
        "total": "62",
    }  # fmt: skip
    assert rows[0].startswith("day,pair,trades,wins,held_s,turnover_krw,captured_krw,spread_at_decision_krw")
    assert rows[1].startswith("2026-11-03,XRP,1,1,7201.000000,48100,0,100,0,-38,0,0,0,62,")
