"""Upbit's public messages, server side: REST bodies and WebSocket payloads from tapes.

Owns: field names of both formats (DEFAULT and SIMPLE). One sample: `{"type":"orderbook","code":"KRW-BTC",…}`.
Never: knows accounts or connections.
Units: `timestamp` UTC milliseconds; dates in UTC unless the field says `kst`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec

from arb.venues.simulated.facts import ZERO, BookImage, Levels, PublicTrade
from arb.venues.simulated.tape import Tape

KST = timezone(timedelta(hours=9))
MAX_UNITS = 30
ENCODER = msgspec.json.Encoder(decimal_format="number")

SHORT = {
    "type": "ty", "code": "cd", "total_ask_size": "tas", "total_bid_size": "tbs", "orderbook_units": "obu",
    "ask_price": "ap", "bid_price": "bp", "ask_size": "as", "bid_size": "bs", "timestamp": "tms", "level": "lv",
    "stream_type": "st", "opening_price": "op", "high_price": "hp", "low_price": "lp", "trade_price": "tp",
    "prev_closing_price": "pcp", "change": "c", "change_price": "cp", "signed_change_price": "scp", "change_rate": "cr",
    "signed_change_rate": "scr", "trade_volume": "tv", "acc_trade_volume": "atv", "acc_trade_volume_24h": "atv24h",
    "acc_trade_price": "atp", "acc_trade_price_24h": "atp24h", "trade_date": "tdt", "trade_time": "ttm",
    "trade_timestamp": "ttms", "ask_bid": "ab", "acc_ask_volume": "aav", "acc_bid_volume": "abv",
    "highest_52_week_price": "h52wp", "highest_52_week_date": "h52wdt", "lowest_52_week_price": "l52wp",
    "lowest_52_week_date": "l52wdt", "market_state": "ms", "is_trading_suspended": "its", "delisting_date": "dd",
    "market_warning": "mw", "sequential_id": "sid", "best_ask_price": "bap", "best_ask_size": "bas",
    "best_bid_price": "bbp", "best_bid_size": "bbs", "uuid": "uid", "order_type": "ot", "state": "s",
    "trade_uuid": "tuid", "price": "p", "avg_price": "ap", "volume": "v", "remaining_volume": "rv",
    "executed_volume": "ev", "trades_count": "tc", "reserved_fee": "rsf", "remaining_fee": "rmf", "paid_fee": "pf",
    "locked": "l", "executed_funds": "ef", "time_in_force": "tif", "trade_fee": "tf", "is_maker": "im",
    "identifier": "id", "smp_type": "smpt", "prevented_volume": "pv", "prevented_locked": "pl",
    "order_timestamp": "otms", "asset_uuid": "astuid", "assets": "ast", "currency": "cu", "balance": "b",
    "asset_timestamp": "asttms",
}  # fmt: skip
"""SIMPLE names; the trade stream's `trade_date` alone is `td`."""

Row = dict[str, object]


def shortened(row: Row) -> Row:
    """The same payload under its SIMPLE names."""
    is_trade = row.get("type") == "trade"
    short: Row = {}
    for name, value in row.items():
        if isinstance(value, list):
            value = [shortened(one) if isinstance(one, dict) else one for one in value]
        short["td" if is_trade and name == "trade_date" else SHORT.get(name, name)] = value
    return short


def grouped(levels: Levels, level: Decimal, *, is_bid: bool) -> Levels:
    """Levels joined into price steps of `level` (0: as they are)."""
    if level <= 0:
        return levels
    sizes: dict[Decimal, Decimal] = {}
    for price, size in levels:
        step = price // level * level if is_bid else -(-price // level) * level
        sizes[step] = sizes.get(step, ZERO) + size
    return tuple(sizes.items())


def orderbook(image: BookImage, units: int, level: Decimal) -> Row:
    """The part that REST and WebSocket have in common; short sides are padded with zeros."""
    bids, asks = grouped(image.bids, level, is_bid=True)[:units], grouped(image.asks, level, is_bid=False)[:units]
    rows: list[Row] = []
    for index in range(max(len(bids), len(asks))):
        bid = bids[index] if index < len(bids) else (ZERO, ZERO)
        ask = asks[index] if index < len(asks) else (ZERO, ZERO)
        rows.append({"ask_price": ask[0], "bid_price": bid[0], "ask_size": ask[1], "bid_size": bid[1]})
    return {
        "timestamp": image.at_ns // 1_000_000,
        "total_ask_size": sum((size for _, size in image.asks), ZERO),
        "total_bid_size": sum((size for _, size in image.bids), ZERO),
        "orderbook_units": rows,
        "level": level,
    }


def orderbook_row(image: BookImage, code: str, units: int, level: Decimal) -> Row:
    """One row of GET /v1/orderbook."""
    return {"market": code, **orderbook(image, units, level)}


def orderbook_frame(image: BookImage, code: str, units: int, level: Decimal, stream: str) -> Row:
    """One payload of the orderbook stream."""
    return {"type": "orderbook", "code": code, **orderbook(image, units, level), "stream_type": stream}


def change_of(tape: Tape) -> Row:
    """The change against the previous close, as the ticker prints it."""
    before = tape.previous_close or tape.last_price
    signed = tape.last_price - before
    rate = (signed / before).quantize(Decimal("1e-10")) if before else ZERO
    return {
        "prev_closing_price": before,
        "change": "RISE" if signed > 0 else "FALL" if signed < 0 else "EVEN",
        "change_price": abs(signed),
        "signed_change_price": signed,
        "change_rate": abs(rate),
        "signed_change_rate": rate,
    }


def ticker(tape: Tape) -> Row:
    """The part of a ticker that REST and WebSocket have in common."""
    last = tape.last_price
    moment = datetime.fromtimestamp(tape.last_at_ns // 1_000_000_000, UTC)
    return {
        "trade_date": moment.strftime("%Y%m%d"),
        "trade_time": moment.strftime("%H%M%S"),
        "trade_timestamp": tape.last_at_ns // 1_000_000,
        "opening_price": tape.opening or last,
        "high_price": tape.high or last,
        "low_price": tape.low or last,
        "trade_price": last,
        **change_of(tape),
        "trade_volume": tape.trades[-1].qty if tape.trades else ZERO,
        "acc_trade_price": tape.quote_volume,
        "acc_trade_price_24h": tape.quote_volume,
        "acc_trade_volume": tape.volume,
        "acc_trade_volume_24h": tape.volume,
        "highest_52_week_price": tape.high or last,
        "highest_52_week_date": moment.strftime("%Y-%m-%d"),
        "lowest_52_week_price": tape.low or last,
        "lowest_52_week_date": moment.strftime("%Y-%m-%d"),
        "timestamp": tape.last_at_ns // 1_000_000,
    }


def ticker_row(tape: Tape) -> Row:
    """One row of GET /v1/ticker."""
    local = datetime.fromtimestamp(tape.last_at_ns // 1_000_000_000, KST)
    dates = {"trade_date_kst": local.strftime("%Y%m%d"), "trade_time_kst": local.strftime("%H%M%S")}
    return {"market": tape.instrument.symbol, **ticker(tape), **dates}


def ticker_frame(tape: Tape, stream: str) -> Row:
    """One payload of the ticker stream."""
    bought = tape.bought_volume
    return {
        "type": "ticker",
        "code": tape.instrument.symbol,
        **ticker(tape),
        "ask_bid": "BID" if tape.trades and tape.trades[-1].is_buy else "ASK",
        "acc_ask_volume": tape.volume - bought,
        "acc_bid_volume": bought,
        "market_state": "ACTIVE",
        "is_trading_suspended": False,
        "delisting_date": None,
        "market_warning": "NONE",
        "stream_type": stream,
    }


def sequential_id(trade: PublicTrade) -> int:
    """17 digits: milliseconds and the trade's number within them."""
    return trade.at_ns // 1_000_000 * 10_000 + trade.trade_id % 10_000


def trade_frame(tape: Tape, trade: PublicTrade, stream: str) -> Row:
    """One payload of the trade stream."""
    moment = datetime.fromtimestamp(trade.at_ns // 1_000_000_000, UTC)
    change = change_of(tape)
    return {
        "type": "trade",
        "code": tape.instrument.symbol,
        "timestamp": trade.at_ns // 1_000_000,
        "trade_date": moment.strftime("%Y-%m-%d"),
        "trade_time": moment.strftime("%H:%M:%S"),
        "trade_timestamp": trade.at_ns // 1_000_000,
        "trade_price": trade.price,
        "trade_volume": trade.qty,
        "ask_bid": "BID" if trade.is_buy else "ASK",
        "prev_closing_price": change["prev_closing_price"],
        "change": change["change"],
        "change_price": change["change_price"],
        "sequential_id": sequential_id(trade),
        "best_ask_price": tape.best_ask[0],
        "best_ask_size": tape.best_ask[1],
        "best_bid_price": tape.best_bid[0],
        "best_bid_size": tape.best_bid[1],
        "stream_type": stream,
    }


def trade_row(tape: Tape, trade: PublicTrade) -> Row:
    """One row of GET /v1/trades/ticks."""
    frame = trade_frame(tape, trade, "SNAPSHOT")
    names = (
        "timestamp",
        "trade_price",
        "trade_volume",
        "prev_closing_price",
        "change_price",
        "ask_bid",
        "sequential_id",
    )
    dates = {"trade_date_utc": frame["trade_date"], "trade_time_utc": frame["trade_time"]}
    return {"market": tape.instrument.symbol, **dates, **{name: frame[name] for name in names}}


def supported_levels(tape: Tape) -> list[str]:
    """Grouping steps of a market; only KRW markets have any but the base tick."""
    tick = tape.instrument.ticks.tick_at(tape.last_price)
    if tape.instrument.quote != "KRW":
        return ["0"]
    return ["0", *(f"{(tick * 10**power).normalize():f}" for power in range(1, 5))]


def instrument_row(tape: Tape) -> Row:
    """One row of GET /v1/orderbook/instruments."""
    tick = tape.instrument.ticks.tick_at(tape.last_price)
    return {
        "market": tape.instrument.symbol,
        "quote_currency": str(tape.instrument.quote),
        "tick_size": f"{tick.normalize():f}",
        "supported_levels": supported_levels(tape),
    }


def market_row(tape: Tape, *, with_details: bool, is_warned: bool) -> Row:
    """One row of GET /v1/market/all; `is_warned`: of a soaring deposit, beside what the instrument has."""
    base = str(tape.instrument.base)
    row: Row = {"market": tape.instrument.symbol, "korean_name": base, "english_name": base}
    if with_details:
        cautions = {
            "PRICE_FLUCTUATIONS": "price_fluctuations", "TRADING_VOLUME_SOARING": "volume_soaring",
            "DEPOSIT_AMOUNT_SOARING": "deposit_soaring", "GLOBAL_PRICE_DIFFERENCES": "global_price_difference",
            "CONCENTRATION_OF_SMALL_ACCOUNTS": "small_accounts",
        }  # fmt: skip
        held = {one.value for one in tape.instrument.cautions} | ({"deposit_soaring"} if is_warned else set())
        row["market_event"] = {
            "warning": "warning" in held,
            "caution": {name: ours in held for name, ours in cautions.items()},
        }
    return row


def candle_row(tape: Tape, now_ns: int, unit_s: int) -> Row:
    """The running candle: the day's statistics under the start of the running unit."""
    start = now_ns // (unit_s * 1_000_000_000) * unit_s
    last = tape.last_price
    return {
        "market": tape.instrument.symbol,
        "candle_date_time_utc": datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "candle_date_time_kst": datetime.fromtimestamp(start, KST).strftime("%Y-%m-%dT%H:%M:%S"),
        "opening_price": tape.opening or last,
        "high_price": tape.high or last,
        "low_price": tape.low or last,
        "trade_price": last,
        "timestamp": now_ns // 1_000_000,
        "candle_acc_trade_price": tape.quote_volume,
        "candle_acc_trade_volume": tape.volume,
        "unit": unit_s // 60,
    }
