"""Tables written by hand: rows as cells, in files as the store writes them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from arb.cli.reports.sheets import Sheets
from arb.domain.effects import Table
from arb.storage.csv import header_of

KST_MIDNIGHT = "T00:00:00.000000+09:00"


def write(folder: Path, table: Table, rows: Sequence[Mapping[str, str]]) -> Sheets:
    """Append rows under the table's header; cells that are not given stay empty."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table.value}.csv"
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header_of(table), restval="", lineterminator="\n")
        if is_new:
            writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow({"id": f"{table.value}-{number}", "rev": "0", "mode": "mock", **row})
    return Sheets(folder)


def fill(
    trade_id: str,
    at: str,
    *,
    symbol: str = "KRW-XRP",
    side: str = "buy",
    qty: str = "10",
    price: str = "1000",
    fee: str = "0",
    fee_currency: str = "KRW",
    **cells: str,
) -> dict[str, str]:
    """A fill on Upbit's KRW market at a Korean time."""
    return {
        "id": f"fill-{trade_id}", "pair": "XRP", "leg": "a", "position": "p1", "venue": "upbit", "trade_id": trade_id,
        "kind": "spot", "symbol": symbol, "side": side, "qty": qty, "price": price, "quote_currency": "KRW",
        "fee": fee, "fee_currency": fee_currency, "fee_krw": fee if fee_currency == "KRW" else "", "fx_mid": "1400",
        "time_kst": f"{at}+09:00", **cells,
    }  # fmt: skip


def usdt_fill(trade_id: str, at: str, **cells: str) -> dict[str, str]:
    """A fill on Binance's spot market at a Korean time."""
    return fill(trade_id, at, **{
        "symbol": "XRPUSDT", "venue": "binance_spot", "quote_currency": "USDT", "fee_currency": "USDT", "leg": "b",
        "price": "1", "fee_krw": "", **cells,
    })  # fmt: skip


def contract_fill(trade_id: str, at: str, **cells: str) -> dict[str, str]:
    """A fill on Binance's USDT contracts at a Korean time."""
    return usdt_fill(trade_id, at, **{"venue": "binance_usdm", "kind": "perpetual", **cells})


def closed(position: str, **cells: str) -> dict[str, str]:
    """A closed position whose every part is zero unless given."""
    parts = ("spread", "slippage", "fees", "funding", "fx", "rounding", "pnl")
    return {
        "id": position, "pair": "XRP", "symbol": "KRW-XRP", "direction": "long_a", "qty_a": "10", "qty_b": "10",
        "status": "closed", "exit_reason": "take_profit", "entry_krw": "10000", "fx_open": "1400", "fx_close": "1400",
        "opened": "2026-11-03T00:00:00.000000Z", "closed": "2026-11-03T01:00:00.000000Z",
        **{f"{part}_{currency}": "0" for part in parts for currency in ("krw", "usdt")}, **cells,
    }  # fmt: skip
