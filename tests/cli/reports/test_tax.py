"""A tax year from tables written by hand: coins by two methods, contracts apart, and whatever is missing named."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from arb.cli.reports.averages import Change, Stock
from arb.cli.reports.sheets import Sheets
from arb.cli.reports.tax import AssetLine, TaxYear, read_opening, tax_year
from arb.cli.reports.tax_document import year_csv, year_document
from arb.domain.effects import Table
from arb.domain.errors import ConfigError
from tests.cli.reports.written import KST_MIDNIGHT, contract_fill, fill, usdt_fill, write

D = Decimal


def year_of(sheets: Sheets, year: int = 2026, **opening: Stock) -> TaxYear:
    return tax_year(sheets, year, mode="mock", opening=opening)


def asset(found: TaxYear, name: str) -> AssetLine:
    return next(line for line in found.assets if line.asset == name)


def test_a_krw_market_disposes_with_fees_as_costs(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [
        fill("1", "2026-03-01T10:00:00", qty="10", price="1000", fee="5"),
        fill("2", "2026-03-02T10:00:00", qty="10", price="2000", fee="10"),
        fill("3", "2026-03-03T10:00:00", side="sell", qty="5", price="3000", fee="7.5"),
    ])  # fmt: skip

    line = asset(year_of(sheets), "XRP")

    # (10,005 + 20,010) / 20 × 5
    assert (line.cost_moving_krw, line.cost_total_krw) == (D("7503.75"), D("7503.75"))
    assert (line.proceeds_krw, line.fees_krw) == (D(15000), D("7.5"))
    assert line.gain_moving_krw == line.gain_total_krw == D("7488.75")
    assert line.closing_moving == Stock(D(15), D("22511.25"))


def test_a_disposal_belongs_to_its_day_in_seoul(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [
        fill("1", "2026-12-31T23:59:58", qty="2"), fill("2", "2026-12-31T23:59:59", side="sell", qty="1"),
        fill("3", "2027-01-01T00:00:00", side="sell", qty="1"),
    ])  # fmt: skip

    assert asset(year_of(sheets, 2026), "XRP").disposed_qty == 1
    assert asset(year_of(sheets, 2027), "XRP").disposed_qty == 1
    assert asset(year_of(sheets, 2027), "XRP").opening_moving == Stock(D(1), D(1000))


def test_a_usdt_market_also_disposes_of_the_usdt_it_pays_with(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [
        fill("0", "2026-03-01T09:00:00", symbol="KRW-USDT", qty="100", price="1300"),
        usdt_fill("1", "2026-03-01T10:00:00", qty="10", fee="0.5"),
        usdt_fill("2", "2026-03-01T11:00:00", side="sell", qty="4", price="2", fee="0.1", fx_mid="1500"),
    ])  # fmt: skip

    found = year_of(sheets)
    coin, usdt = asset(found, "XRP"), asset(found, "USDT")

    # Bought for 10.5 USDT at 1,400; sold for 8 USDT at 1,500, fee 0.1 USDT.
    assert coin.acquired_krw == D(14700)
    assert (coin.proceeds_krw, coin.fees_krw, coin.cost_moving_krw) == (D(12000), D(150), D(5880))
    assert (usdt.disposed_qty, usdt.proceeds_krw, usdt.cost_moving_krw) == (D("10.5"), D(14700), D(13650))
    assert usdt.closing_moving.qty == D("97.4")


def test_a_fee_in_a_third_asset_is_a_cost_and_a_disposal_of_that_asset(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [
        usdt_fill("1", "2026-03-01T10:00:00", qty="10", fee="0.01", fee_currency="BNB", fee_krw="8400"),
    ])  # fmt: skip

    found = year_of(sheets, USDT=Stock(D(100), D(130000)), BNB=Stock(D(1), D(900000)))

    assert asset(found, "XRP").acquired_krw == D(22400)
    assert asset(found, "BNB").gain_moving_krw == D(-600)
    assert found.missing[0].startswith("XRP: no balance is recorded; taken as none before the oldest row")


def test_a_fee_taken_in_the_coin_leaves_fewer_coins_at_the_same_cost(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [
        usdt_fill("1", "2026-03-01T10:00:00", qty="10", fee="0.01", fee_currency="XRP", fee_krw="14"),
    ])  # fmt: skip

    line = asset(year_of(sheets, USDT=Stock(D(100), D(130000))), "XRP")

    assert line.closing_moving == Stock(D("9.99"), D(14000))


def test_perpetuals_and_funding_stand_apart_and_move_only_usdt(tmp_path: Path) -> None:
    write(tmp_path, Table.FILLS, [
        contract_fill("1", "2026-03-01T10:00:00", side="sell", qty="10", price="2", fee="0.01"),
        contract_fill("2", "2026-03-01T11:00:00", qty="4", price="1.5", fee="0.003", fx_mid="1500"),
        contract_fill("3", "2026-03-01T12:00:00", qty="6", price="2.5", fee="0.007", fx_mid="1500"),
    ])  # fmt: skip
    sheets = write(tmp_path, Table.FUNDING, [
        {"venue": "binance_usdm", "instrument": "binance_usdm:XRPUSDT", "amount": "0.25", "currency": "USDT",
         "fx_mid": "1450", "time": "2026-03-01T01:30:00.000000Z"},
    ])  # fmt: skip

    found = year_of(sheets, USDT=Stock(D(100), D(140000)))

    assert [line.realised_usdt for line in found.contracts] == [D(0), D("0.25"), D(2), D(-3)]
    assert found.contracts[2].realised_krw == D(3000)
    assert [line.asset for line in found.assets] == ["USDT"]
    assert {line.movement.change for line in found.lines} == {Change.ACQUIRED, Change.SPENT}
    assert asset(found, "USDT").disposed_qty == 0
    # 100 − 0.01 + 0.25 + 1.997 − 3.007
    assert asset(found, "USDT").closing_moving.qty == D("99.23")


def test_coins_held_before_the_engine_are_named_and_need_a_stated_cost(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [fill("1", "2026-03-01T10:00:00", side="sell", qty="3", price="1000")])

    unknown = year_of(sheets)
    stated = year_of(sheets, XRP=Stock(D(5), D(2500)))

    assert asset(unknown, "XRP").cost_moving_krw is None
    assert asset(unknown, "XRP").gain_total_krw is None
    assert "XRP: 3 more left than is known to have been there" in unknown.missing[0]
    assert "--opening FILE" in unknown.missing[0]
    assert asset(stated, "XRP").gain_moving_krw == D(1500)
    assert not [text for text in stated.missing if text.startswith("XRP")]


def test_a_balance_that_no_row_explains_is_an_opening_too(tmp_path: Path) -> None:
    write(tmp_path, Table.FILLS, [fill("1", "2026-03-01T10:00:00", qty="3")])
    sheets = write(tmp_path, Table.BALANCES_DAILY, [
        {"wallet": "upbit", "asset": "XRP", "kind": "spot", "qty": "8", "time_kst": f"2026-03-02{KST_MIDNIGHT}"},
    ])  # fmt: skip

    assert year_of(sheets).missing[0].startswith("XRP: 5 were held on 2026-03-02 that no row explains")


def test_transfers_are_no_disposals_and_coins_from_outside_are_named(tmp_path: Path) -> None:
    write(tmp_path, Table.FILLS, [fill("1", "2026-03-01T10:00:00", qty="10")])
    cells = {"asset": "XRP", "time": "2026-03-01T02:00:00.000000Z", "network": "XRP"}
    sheets = write(tmp_path, Table.TRANSFERS, [
        {**cells, "venue": "upbit", "direction": "out", "amount": "5", "fee": "1"},
        {**cells, "venue": "binance_spot", "direction": "in", "amount": "6"},
    ])  # fmt: skip

    found = year_of(sheets)

    assert asset(found, "XRP").disposed_qty == 0
    assert asset(found, "XRP").closing_moving == Stock(D(9), D(9000))
    assert [line.direction for line in found.transfers] == ["out", "in"]
    assert "XRP: 2 came in that had not gone out from a wallet here" in " ".join(found.missing)


def test_the_snapshot_is_that_of_midnight_in_seoul_and_its_absence_is_named(tmp_path: Path) -> None:
    write(tmp_path, Table.FILLS, [fill("1", "2026-03-01T10:00:00")])
    row = {"wallet": "upbit", "asset": "XRP", "kind": "spot", "qty": "10", "price": "1100", "price_currency": "KRW"}
    sheets = write(tmp_path, Table.BALANCES_DAILY, [
        {**row, "id": "a", "krw_value": "11000", "time_kst": f"2027-01-01{KST_MIDNIGHT}"},
        {**row, "id": "b", "krw_value": "9000", "time_kst": f"2026-12-31{KST_MIDNIGHT}"},
    ])  # fmt: skip

    assert [line.krw_value for line in year_of(sheets, 2026).held] == [D(11000)]
    late = year_of(sheets, 2027)
    assert late.held == ()
    assert "year-end: no balances of 24:00 KST of 31 December 2027; recorded are 2026-12-31 to 2027-01-01" in " ".join(
        late.missing
    )


def test_what_cannot_be_valued_is_named_and_never_guessed(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [usdt_fill("77", "2026-03-01T10:00:00", fx_mid="")])

    found = year_of(sheets, USDT=Stock(D(100), D(130000)))

    assert asset(found, "XRP").acquired_krw is None
    assert asset(found, "USDT").proceeds_krw is None
    assert "XRP: bought at 2026-03-01 10:00:00 KST (binance_spot 77) has no value in KRW" in found.missing


def test_an_execution_that_no_venue_told_is_named(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [fill("watch-7-a", "2026-03-01T10:00:00", qty="3")])

    assert any(
        text.startswith("KRW-XRP: 3 at 2026-03-01 10:00:00 KST (upbit) is assumed") for text in year_of(sheets).missing
    )


def test_the_document_and_the_rows_say_the_same_and_say_what_they_are_not(tmp_path: Path) -> None:
    sheets = write(tmp_path, Table.FILLS, [
        fill("1", "2026-03-01T10:00:00"), fill("2", "2026-03-02T10:00:00", side="sell", qty="4", price="1200", fee="2"),
    ])  # fmt: skip
    found = year_of(sheets)

    document = msgspec.json.decode(msgspec.json.encode(year_document(found)))
    rows = year_csv(found).splitlines()

    assert "not tax advice" in document["statement"]
    assert "not tax advice" in rows[-1]
    sold = next(row for row in document["movements"] if row["section"] == "disposal")
    assert sold["gain_moving_average_krw"] == sold["gain_total_average_krw"] == "798"
    assert any(row.startswith("disposal,2026-03-02 10:00:00,XRP,upbit,KRW-XRP,2,sold,4,,4800,2,4000") for row in rows)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("asset,quantity,cost_krw\nXRP,many,1\n", "line 2"),
        ("asset,quantity,cost_krw\nXRP,1,1\nXRP,2,2\n", "line 3"),
        ("asset,quantity,cost_krw\nXRP,-1,1\n", "not negative"),
        ("asset,quantity,cost_krw\nXRP,NaN,1\n", "not negative"),
        ("asset,quantity,cost_krw\n", "has no line"),
    ],
)
def test_an_opening_that_cannot_be_understood_is_refused_by_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "opening.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=told):
        read_opening(path)


def test_an_opening_is_read(tmp_path: Path) -> None:
    path = tmp_path / "opening.csv"
    path.write_text("asset,quantity,cost_krw\nXRP,1.5,2000\n", encoding="utf-8-sig")

    assert read_opening(path) == {"XRP": Stock(D("1.5"), D(2000))}
    assert read_opening(None) == {}
