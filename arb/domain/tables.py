"""The columns of every table, once: the engine writes rows with these keys, the stores take the same list.

Owns: names and order. Common columns (`id`, `rev`, `run_id`, `mode`, `pair`, `strategy`, `seq`) are added by the store.
Units: in each name; `_ns` UTC nanoseconds; quantities in base units unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final

from arb.domain.effects import Table

COMMON: Final = ("id", "rev", "run_id", "mode", "pair", "strategy", "seq")
"""Carried by every row, in front of the table's own columns."""

PARTS_KRW: Final = ("spread_krw", "slippage_krw", "fees_krw", "funding_krw", "fx_krw", "rounding_krw")
"""Of a result; they add up to `pnl_krw` exactly. Of an open position: as if closed at mid and mark, free of fees."""

PARTS_USDT: Final = ("spread_usdt", "slippage_usdt", "fees_usdt", "funding_usdt", "fx_usdt", "rounding_usdt")
"""The same in the other numeraire; they add up to `pnl_usdt` exactly."""

ACCOUNT_PARTS: Final = (
    "equity", "opening", "treasury", "pairs", "residual", "transfers", "fx_retained", "unexplained",
)  # fmt: skip
"""Of the whole account: `equity` is the sum of all that follow it (engine.md, Accounting)."""

COLUMNS: Final[dict[Table, tuple[str, ...]]] = {
    Table.POSITIONS: (
        "symbol", "direction", "qty_a", "qty_b",
        "entry_price_a", "entry_currency_a", "entry_price_b", "entry_currency_b",
        "exit_price_a", "exit_currency_a", "exit_price_b", "exit_currency_b",
        "entry_spread_bps", "exit_spread_bps", "fx_open", "fx_close", "d_bps", "fair_bps", "expected_bps", "entry_krw",
        *PARTS_KRW, "residual_krw", "pnl_krw", *PARTS_USDT, "residual_usdt", "pnl_usdt", "pnl_pct",
        "mark_price_a", "mark_price_b", "fx_mark", "exit_reason", "status", "opened_ns", "closed_ns", "time_ns",
    ),
    Table.ORDERS: (
        "position", "symbol", "venue", "side", "qty", "theoretical_price", "effective_price", "slippage_bps", "leg",
        "purpose", "venue_order_id", "client_order_id", "outcome", "filled_qty", "reason", "time_ns",
    ),
    Table.FILLS: (
        "position", "leg", "order_id", "venue", "trade_id", "kind", "symbol", "side", "qty", "price", "quote_currency",
        "fee", "fee_currency", "fee_krw", "fx_bid", "fx_ask", "fx_mid", "fx_time_ns", "bank_rate", "liquidity",
        "client_order_id", "venue_time_ns", "received_time_ns", "time_kst",
    ),
    Table.SPREADS: (
        "symbol", "bid_a", "ask_a", "bid_b", "ask_b", "fx_mid", "gross_bps", "net_bps", "unwind_bps", "is_opportunity",
        "basis_bps", "tether_bps", "kimchi_bps", "bank_rate", "time_ns",
    ),
    Table.TRADES: (
        "position", "symbol", "direction", "qty", "kind", "price_a", "price_b", "captured_krw", "pnl_krw", *PARTS_KRW,
        "pnl_usdt", *PARTS_USDT, "reason", "time_ns",
    ),
    Table.FX_RATES: ("fx_pair", "bid", "ask", "source", "time_ns"),
    Table.FUNDING: ("position", "venue", "instrument", "amount", "currency", "rate", "fx_mid", "amount_krw", "time_ns"),
    Table.TRANSFERS: ("venue", "asset", "amount", "fee", "direction", "network", "time_ns"),
    Table.BALANCES_DAILY: (
        "wallet", "asset", "kind", "qty", "price", "price_currency", "fx_mid", "krw_value", "time_kst", "time_ns",
    ),
    Table.ACCOUNT: (
        "occasion", "fx_mid", *(f"{part}_krw" for part in ACCOUNT_PARTS), *(f"{part}_usdt" for part in ACCOUNT_PARTS),
        "is_in_flight", "time_ns",
    ),
    Table.REFUSALS: ("minute_ns", "direction", "reason", "count", "best_net_bps", "missed_bps"),
    Table.INCIDENTS: ("position", "kind", "opened_ns", "resolution", "cost_krw", "closed_ns"),
    Table.ERRORS: ("component", "class_name", "message", "context", "time_ns"),
}  # fmt: skip
