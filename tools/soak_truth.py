"""After a soak: do the simulators' ledgers, the engine's books, the tables and the report tell one story?

Owns: the comparisons, each of which answers with the differences it found (none: they agree).
Never: tolerates; the only rounding allowed is the one a table's own columns state.
Units: amounts as exact decimals in the asset named.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from arb.domain.order import OrderState
from arb.domain.tables import PARTS_KRW, PARTS_USDT
from arb.engine import Engine
from arb.execution.order_ids import is_ours

Row = dict[str, str]
Ledgers = dict[str, Any]
"""The simulators' own account of each venue."""
TINY = Decimal("1e-6")
"""KRW or USDT: what is lost where a row rounds."""
ENDED = tuple(state.value for state in OrderState if state.is_final)


@attrs.frozen(kw_only=True)
class Stories:
    """Everything that must agree."""

    ledgers: Ledgers
    tables: Path
    """Directory of the CSV files."""
    engine: Engine
    """Recovered from the journal."""
    report: dict[str, Any]
    """`arb report --json`."""

    def rows(self, table: str) -> list[Row]:
        """The newest revision of every row."""
        path = self.tables / f"{table}.csv"
        newest: dict[str, Row] = {}
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                known = newest.get(row["id"])
                if known is None or int(row["rev"]) >= int(known["rev"]):
                    newest[row["id"]] = row
        return list(newest.values())


def differences(stories: Stories) -> list[str]:
    """Every disagreement, in words; empty: they agree."""
    return [
        *order_differences(stories),
        *fill_differences(stories),
        *holding_differences(stories),
        *position_differences(stories),
        *profit_differences(stories),
        *report_differences(stories),
    ]


def order_differences(stories: Stories) -> list[str]:
    """No order id twice, every order of ours at a venue a row, and every row ended."""
    found = []
    rows = {(row["venue"], row["client_order_id"]): row for row in stories.rows("orders")}
    for venue, ledger in stories.ledgers.items():
        own = [order for order in ledger["orders"] if is_ours(order["client_order_id"])]
        counts = Counter(order["client_order_id"] for order in own)
        found += [f"{venue}: order id {name} came {count} times" for name, count in counts.items() if count > 1]
        if ledger["duplicated_ids"]:
            found.append(f"{venue}: {ledger['duplicated_ids']} orders were refused for an id already used")
        for order in own:
            row = rows.get((venue, order["client_order_id"]))
            if row is None:
                found.append(f"{venue}: order {order['client_order_id']} is in no table")
            elif row["qty"] and order["qty"] and Decimal(row["qty"]) != Decimal(order["qty"]):
                found.append(f"{venue}: order {order['client_order_id']}: {order['qty']} there, {row['qty']} here")
    found += [
        f"{row['venue']}: order {row['client_order_id']} ended as {row['outcome']!r}"
        for row in rows.values()
        if row["outcome"] not in ENDED
    ]
    return found


def fill_differences(stories: Stories) -> list[str]:
    """Every fill of a venue is one row, every row one fill, to the last digit."""
    told = Counter(
        (venue, fill["client_order_id"], fill["side"], *_plain(fill["qty"], fill["price"], fill["fee"]))
        for venue, ledger in stories.ledgers.items()
        for fill in ledger["fills"]
    )
    written = Counter(
        (row["venue"], row["client_order_id"], row["side"], *_plain(row["qty"], row["price"], row["fee"]))
        for row in stories.rows("fills")
    )
    return [f"fill only at the venue: {one} x{count}" for one, count in (told - written).items()] + [
        f"fill only in the tables: {one} x{count}" for one, count in (written - told).items()
    ]


def holding_differences(stories: Stories) -> list[str]:
    """What the engine believes the venues hold is what they hold."""
    found, holdings = [], stories.engine.memory.ledger.holdings
    for venue, balances in holdings.balances.items():
        for asset, one in balances.items():
            told = _held(stories.ledgers[venue], asset)
            if one.total != told:
                found.append(f"{venue} {asset}: {told} there, {one.total} believed")
    believed = {str(instrument): one.qty for instrument, one in holdings.contracts.items()}
    for name, ledger in stories.ledgers.items():
        for row in ledger["positions"]:
            qty = believed.get(f"{name}:{row['symbol']}", Decimal(0))
            if qty != Decimal(row["qty"]):
                found.append(f"{name} {row['symbol']}: {row['qty']} there, {qty} believed")
    return found


def position_differences(stories: Stories) -> list[str]:
    """Open pair positions, residuals and what is left out explain every contract and every coin traded."""
    return [one.words for one in stories.engine.differences()]


def profit_differences(stories: Stories) -> list[str]:
    """What the closed positions say they brought is what their fills and funding brought at the FX of their close, and
    their parts add up to it."""
    found = []
    for row in stories.rows("positions"):
        if not row["closed"]:
            continue
        for numeraire, parts in (("krw", PARTS_KRW), ("usdt", PARTS_USDT)):
            total = Decimal(row[f"pnl_{numeraire}"])
            summed = sum((Decimal(row.get(part) or 0) for part in parts), Decimal(0))
            if abs(summed - total) > TINY:
                found.append(f"position {row['id']}: parts give {summed} {numeraire}, pnl is {total}")
    return found


def report_differences(stories: Stories) -> list[str]:
    """The report finds nothing wrong or unexplained, and its total is the sum of the closed positions."""
    closed = [row for row in stories.rows("positions") if row["closed"]]
    found = [f"report: {words}" for words in (*stories.report["faults"], *stories.report["notes"])]
    told = Decimal(stories.report["total"]["krw"]["total"])
    summed = sum((Decimal(row["pnl_krw"]) for row in closed), Decimal(0))
    if abs(told - summed) > TINY * max(len(closed), 1):
        found.append(f"report: {told} KRW, positions: {summed} KRW")
    return found


def secret_leaks(directory: Path, secrets: list[str]) -> list[str]:
    """Files under `directory` that hold one of the words, compressed journals read open."""
    found = []
    for path in sorted(directory.rglob("*")):
        if not path.is_file():
            continue
        body = _opened(path)
        found += [f"{path.relative_to(directory)} holds a secret" for word in secrets if word.encode() in body]
    return found


def _opened(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _plain(*texts: str) -> tuple[str, ...]:
    return tuple(f"{Decimal(text).normalize():f}" for text in texts)


def _held(ledger: Any, asset: str) -> Decimal:
    told = ledger["balances"].get(asset, {"free": "0", "locked": "0"})
    return Decimal(told["free"]) + Decimal(told["locked"])


def report_of(text: str) -> dict[str, Any]:
    """The one JSON document of `arb report --json`."""
    found: dict[str, Any] = json.loads(text)
    return found
